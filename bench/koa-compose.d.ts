declare module "koa-compose" {
  export type Middleware<Context> = (context: Context, next: () => Promise<void>) => Promise<void>;
  export default function compose<Context>(middleware: readonly Middleware<Context>[]): (context: Context) => Promise<void>;
}
