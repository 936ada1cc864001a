// Every route of the OpenAPI document: what it does, what it takes, what it answers.
const make = (tag, words = "") => Object.assign(document.createElement(tag), { textContent: words });

const document_ = await (await fetch("/openapi.json")).json();
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, route] of Object.entries(methods)) {
    const section = make("section");
    section.append(make("h2", `${method.toUpperCase()} ${path}`), make("p", (route.description ?? "").replaceAll("``", "")));
    const list = make("ul");
    for (const parameter of route.parameters ?? []) {
      const { schema } = parameter;
      const bounds = ["minimum", "maximum", "minLength", "maxLength", "default"].filter((key) => key in schema).map((key) => `${key} ${schema[key]}`);
      list.append(make("li", `${parameter.name} (${parameter.in}${parameter.required ? ", required" : ""}): ${[schema.type ?? "text", ...bounds].join(", ")}`));
    }
    for (const kind of Object.keys(route.requestBody?.content ?? {})) list.append(make("li", `body: ${kind}`));
    const required = (route.parameters ?? []).filter((one) => one.required && one.in === "query").map((one) => `${one.name}=...`);
    const query = required.length ? `?${required.join("&")}` : "";
    const how = route.requestBody ? "--data-binary @FILE " : method === "get" ? "" : `-X ${method.toUpperCase()} `;
    section.append(list, make("pre", `curl ${how}'${location.origin}${path}${query}'`));
    document.getElementById("routes").append(section);
  }
}
