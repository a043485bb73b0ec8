// What the API page reads of an OpenAPI document.

export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  enum?: string[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  nullable?: boolean;
}
interface Content {
  content?: Record<string, { schema?: Schema }>;
  description?: string;
}
export interface Operation {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: Schema }[];
  requestBody?: Content;
  responses?: Record<string, Content>;
  security?: unknown[];
}
export interface OpenApi {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

export interface Listed {
  verb: string;
  path: string;
  operation: Operation;
}

const verbs = ['get', 'post', 'put', 'patch', 'delete'];

// The operations by tag, in the document's order.
export function byTag(document: OpenApi): Map<string, Listed[]> {
  const groups = new Map<string, Listed[]>();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const verb of verbs) {
      const operation = item[verb];
      if (!operation) continue;
      const tag = operation.tags?.[0] ?? 'Other';
      groups.set(tag, [...(groups.get(tag) ?? []), { verb: verb.toUpperCase(), path, operation }]);
    }
  }
  return groups;
}

const refName = (ref: string) => ref.split('/').at(-1) ?? ref;
export const shortName = (name: string) => name.split('.').at(-1) ?? name;

export function jsonSchemaOf(content: Content | undefined): Schema | undefined {
  return content?.content?.['application/json']?.schema;
}

// The schema itself: of a reference, what it points to.
export function resolve(document: OpenApi, schema: Schema): Schema {
  if (!schema.$ref) return schema.allOf?.length === 1 ? resolve(document, schema.allOf[0]!) : schema;
  return document.components?.schemas?.[refName(schema.$ref)] ?? {};
}

// A type in a few words: "string", "Point[]", "map of string".
export function typeWords(schema: Schema): string {
  if (schema.$ref) return shortName(refName(schema.$ref));
  const choice = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (choice) return choice.map(typeWords).join(' or ');
  if (schema.type === 'array') return `${schema.items ? typeWords(schema.items) : 'any'}[]`;
  if (schema.enum) return schema.enum.join(' | ');
  if (typeof schema.additionalProperties === 'object') return `map of ${typeWords(schema.additionalProperties)}`;
  const type = Array.isArray(schema.type) ? schema.type.join(' or ') : (schema.type ?? 'any');
  return schema.format ? `${type} (${schema.format})` : type;
}

// Name of the message a type speaks of, if it does.
export function messageIn(schema: Schema): string | undefined {
  if (schema.$ref) return refName(schema.$ref);
  if (schema.items) return messageIn(schema.items);
  const choice = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  return choice?.map(messageIn).find(Boolean);
}
