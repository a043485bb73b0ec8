// Makes src/api/generated.ts from the protos: one TypeScript type per message as it looks in JSON over HTTP, and one table
// of the routes. Part of every build, so that the types are never behind the protos.
//
// The JSON mapping: lowerCamelCase keys, 64-bit integers as strings, enums as names, bytes as base64 text. An answer has
// all its fields (a message that is not set is null) but the optional ones; of a request every field may be left out.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const here = dirname(fileURLToPath(import.meta.url));
const protoRoot = join(here, '..', '..', 'proto');
const target = join(here, '..', 'src', 'api', 'generated.ts');
const services = [
  'vectron.v1.VectronService',
  'vectron.auth.v1.AuthService',
  'vectron.management.v1.ManagementService',
];

const root = new protobuf.Root();
root.resolvePath = (_, path) => join(protoRoot, path);
// Google's own files: their JSON forms are known, so that empty shells are enough.
root.fetch = undefined;
for (const name of ['google/protobuf/struct.proto', 'google/protobuf/descriptor.proto']) root.files.push(name);
const parsed = new Set();
function load(path) {
  if (parsed.has(path) || path.startsWith('google/')) return;
  parsed.add(path);
  const source = readFileSync(join(protoRoot, path), 'utf8');
  const result = protobuf.parse(source, root, { keepCase: true, alternateCommentMode: true });
  for (const next of result.imports ?? []) load(next);
}
load('vectron/vectron.proto');
load('vectron/auth.proto');
load('vectron/management.proto');

const scalars = {
  double: 'number', float: 'number', int32: 'number', uint32: 'number', sint32: 'number', fixed32: 'number',
  sfixed32: 'number', bool: 'boolean', string: 'string', bytes: 'string',
  int64: 'string', uint64: 'string', sint64: 'string', fixed64: 'string', sfixed64: 'string',
};
const wellKnown = { 'google.protobuf.Value': 'JsonValue', 'google.protobuf.Struct': 'JsonObject' };

// Key of a field in JSON.
const keyOf = (field) => field.options?.json_name ?? camel(field.name);
const camel = (name) => name.replace(/_([a-z0-9])/g, (_, c) => c.toUpperCase());
const comment = (text, indent) =>
  text ? `${indent}/** ${text.trim().replace(/\s*\n\s*/g, ' ').replace(/\*\//g, '* /')} */\n` : '';

// name of a message or enum -> its reflection object; a name without a package must be unique among what is used.
const messages = new Map();
const enums = new Map();
const inputs = new Set();

function find(field) {
  if (scalars[field.type]) return { text: scalars[field.type] };
  const known = Object.keys(wellKnown).find((name) => field.type === name || `google.protobuf.${field.type}` === name);
  if (known) return { text: wellKnown[known] };
  const type = field.parent.lookup(field.type);
  if (!type) throw new Error(`${field.fullName}: unknown type ${field.type}`);
  return { type };
}

// A type's name here: its own, with Admin in front where an earlier one has it.
const names = new Map();
function nameOf(type) {
  if (!names.has(type)) {
    const taken = [...names.values()].includes(type.name);
    names.set(type, taken ? `Admin${type.name}` : type.name);
  }
  return names.get(type);
}

function remember(map, type) {
  const name = nameOf(type);
  if (map.has(name) && map.get(name) !== type) throw new Error(`two types are called ${name}`);
  map.set(name, type);
}

function visit(type, isInput) {
  const name = nameOf(type);
  const seen = messages.get(name) === type && (!isInput || inputs.has(name));
  remember(messages, type);
  if (isInput) inputs.add(name);
  if (seen) return;
  for (const field of type.fieldsArray) {
    const found = find(field);
    if (found.type instanceof protobuf.Enum) remember(enums, found.type);
    else if (found.type) visit(found.type, isInput);
  }
}

// A point's payload is one JSON object over HTTP; its typed twin `fields` does not appear.
const hasJsonPayload = (type) =>
  type.fields.payload?.map && type.fields.fields && find(type.fields.fields).text === 'JsonObject';

function messageText(type, isInput) {
  let out = comment(type.comment, '');
  out += `export interface ${nameOf(type)}${isInput ? 'Input' : ''} {\n`;
  for (const field of type.fieldsArray) {
    if (hasJsonPayload(type) && field.name === 'fields') continue;
    const found = find(field);
    let text = found.text ?? (found.type instanceof protobuf.Enum || !isInput ? nameOf(found.type) : `${nameOf(found.type)}Input`);
    if (hasJsonPayload(type) && field.name === 'payload') text = 'JsonObject';
    else if (field.map) text = `Record<string, ${text}>`;
    else if (field.repeated) text = `${text}[]`;
    else if (!isInput && (found.type instanceof protobuf.Type || field.options?.proto3_optional)) text += ' | null';
    out += comment(field.comment, '  ');
    const mayLack = isInput || (field.options?.proto3_optional && !field.repeated);
    out += `  ${keyOf(field)}${mayLack ? '?' : ''}: ${text};\n`;
  }
  return `${out}}\n`;
}

const routes = [];
for (const name of services) {
  const service = root.lookupService(name);
  for (const method of service.methodsArray) {
    const route = (method.parsedOptions ?? []).map((option) => option['(vectron.options.route)']).find(Boolean);
    if (!route?.verb) continue;
    const request = service.parent.lookupType(method.requestType);
    const response = service.parent.lookupType(method.responseType);
    const taken = routes.some((other) => other.name === method.name);
    routes.push({ name: taken ? `Admin${method.name}` : method.name, ...route, request, response, comment: method.comment });
    visit(request, true);
    visit(response, false);
  }
}

let out = '// Made by scripts/generate-api.mjs from proto/vectron. Do not edit.\n\n';
out += 'export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;\n';
out += 'export interface JsonObject { [key: string]: JsonValue }\n\n';
for (const [name, type] of enums) {
  const names = Object.keys(type.values).map((value) => `'${value}'`).join(' | ');
  out += `${comment(type.comment, '')}export type ${name} = ${names};\n`;
}
out += '\n';
const answers = new Set();
const answerVisit = (type) => {
  if (answers.has(nameOf(type))) return;
  answers.add(nameOf(type));
  for (const field of type.fieldsArray) {
    const found = find(field);
    if (found.type instanceof protobuf.Type) answerVisit(found.type);
  }
};
for (const route of routes) answerVisit(route.response);
for (const [name, type] of messages) {
  if (answers.has(name)) out += `${messageText(type, false)}\n`;
  if (inputs.has(name)) out += `${messageText(type, true)}\n`;
}
out += '/** What each route takes and gives. */\nexport interface Calls {\n';
for (const route of routes) {
  out += comment(route.comment, '  ');
  out += `  ${route.name}: { request: ${nameOf(route.request)}Input; response: ${nameOf(route.response)} };\n`;
}
out += '}\n\n/** Verb and path of each route; a name in braces is a field of the request. */\nexport const routes = {\n';
for (const route of routes) {
  out += `  ${route.name}: { verb: '${route.verb}', path: '${route.path}' },\n`;
}
out += '} as const satisfies Record<keyof Calls, { verb: string; path: string }>;\n';

writeFileSync(target, out);
