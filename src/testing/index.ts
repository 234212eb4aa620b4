export { type VirtualClock, virtualClock, type VirtualClockOptions } from "./virtual-clock.ts";
