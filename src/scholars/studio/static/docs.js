// Describe each route of the OpenAPI document: what it does, its parameters, how to call it.
import { byId, make, requestJson } from "./page.js";

const LIMITS = ["minimum", "maximum", "minLength", "maxLength", "default"];

function describeRoute(method, path, { description = "", parameters = [], requestBody }) {
  const list = make("ul");
  for (const { name, required, schema, in: place } of parameters) {
    const limits = LIMITS.filter((key) => key in schema).map((key) => `${key} ${schema[key]}`);
    list.append(make("li", `${name} (${place}${required ? ", required" : ""}): ${[schema.type ?? "text", ...limits].join(", ")}`));
  }
  let json = null;
  for (const [type, { schema }] of Object.entries(requestBody?.content ?? {})) {
    list.append(make("li", `body: ${schema?.description ? `${schema.description} (${type})` : type}`));
    const body = schema?.$ref && components.schemas[schema.$ref.split("/").at(-1)];
    if (!body) continue;
    json = JSON.stringify(body.examples[0]);
    const fields = Object.entries(body.properties).map(([name, field]) => make("li", `${name}: ${field.description}`));
    list.lastChild.append(make("ul"));
    list.lastChild.lastChild.append(...fields);
  }
  const required = parameters.filter((one) => one.required && one.in === "query").map((one) => `${one.name}=...`);
  const query = required.length ? `?${required.join("&")}` : "";
  const options = json ? `-H 'Content-Type: application/json' -d '${json}' ` : requestBody ? "--data-binary @FILE " : method === "get" ? "" : `-X ${method.toUpperCase()} `;
  const section = make("section");
  section.append(
    make("h2", `${method.toUpperCase()} ${path}`),
    make("p", description.replaceAll("``", "")),
    list,
    make("pre", `curl ${options}'${location.origin}${path}${query}'`),
  );
  return section;
}

const { components, paths } = await requestJson("/openapi.json");
for (const [path, methods] of Object.entries(paths)) {
  for (const [method, route] of Object.entries(methods)) byId("routes").append(describeRoute(method, path, route));
}
