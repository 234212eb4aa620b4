import { create, createFileRegistry, type DescMessage } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FieldDescriptorProto,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

/** The schema of `message Order { string id = 1; int64 total = 2; bytes seal = 3; repeated Order parts = 4; }`, made without a compiler. */
export const orderSchema: DescMessage = messageOf("Order", [
  field("id", 1, FieldDescriptorProto_Type.STRING),
  field("total", 2, FieldDescriptorProto_Type.INT64),
  field("seal", 3, FieldDescriptorProto_Type.BYTES),
  field("parts", 4, FieldDescriptorProto_Type.MESSAGE, { typeName: ".shop.Order", label: FieldDescriptorProto_Label.REPEATED }),
]);

/** An older one, which knows the id alone. */
export const olderOrderSchema: DescMessage = messageOf("Order", [field("id", 1, FieldDescriptorProto_Type.STRING)]);

function messageOf(name: string, fields: FieldDescriptorProto[]): DescMessage {
  const file = create(FileDescriptorProtoSchema, {
    name: "shop.proto",
    package: "shop",
    syntax: "proto3",
    messageType: [{ name, field: fields }],
  });
  const message = createFileRegistry(file, () => undefined).getMessage(`shop.${name}`);
  if (message === undefined) throw new Error(`shop.${name} is not in its own file`);
  return message;
}

function field(
  name: string,
  number: number,
  type: FieldDescriptorProto_Type,
  {
    typeName = "",
    label = FieldDescriptorProto_Label.OPTIONAL,
  }: { readonly typeName?: string; readonly label?: FieldDescriptorProto_Label } = {},
): FieldDescriptorProto {
  return create(FieldDescriptorProtoSchema, { name, jsonName: name, number, type, label, ...(typeName !== "" && { typeName }) });
}
