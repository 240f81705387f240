"""One OpenAPI document, and a page that shows it, out of the services' own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from freehold.http.openapi import operations
from freehold.model.system import System

Document = dict[str, Any]


def merged(system: System, documents: Mapping[str, Document], public: set[tuple[str, str]]) -> Document:
    """The public routes of every service in one document.

    Args:
        documents: each service's own, by its name.
        public: (method, path) of what the gateway lets through.
    """
    result: Document = {
        "openapi": "3.1.0",
        "info": {"title": system.title or system.name, "version": system.version},
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": {}},
    }
    for service, own in documents.items():
        document = _without_clashes(service, own, result["components"]["schemas"])
        for operation in operations(document):
            operation["operationId"] = f"{service}_{operation['operationId']}"
            operation["tags"] = [service]
        for path, methods in document.get("paths", {}).items():
            shown = {method: one for method, one in methods.items() if (method.upper(), path) in public}
            if shown:
                result["paths"].setdefault(path, {}).update(shown)
        for part in ("schemas", "securitySchemes"):
            result["components"][part] |= document.get("components", {}).get(part, {})
    result["components"]["securitySchemes"].pop("service", None)  # never passes the gateway
    return result


def _without_clashes(service: str, document: Document, taken: Mapping[str, Any]) -> Document:
    """The document, with schemas renamed whose name another service uses for something else."""
    schemas = document.get("components", {}).get("schemas", {})
    text = json.dumps(document)
    for name, schema in schemas.items():
        if name in taken and taken[name] != schema:
            text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{service}_{name}"')
    renamed: Document = json.loads(text)
    if schemas:
        renamed["components"]["schemas"] = {
            (f"{service}_{name}" if name in taken and taken[name] != schemas[name] else name): schema
            for name, schema in renamed["components"]["schemas"].items()
        }
    return renamed


DOCS_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>API</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2024}
summary{cursor:pointer;padding:.3rem 0}code,pre{font:13px/1.5 ui-monospace,monospace}
pre{background:#f4f5f7;padding:.8rem;overflow:auto;border-radius:6px}
b.m{display:inline-block;width:4.2rem;font-family:ui-monospace,monospace}.a{color:#6b7280;font-size:13px}
h2{margin:2rem 0 .5rem;border-bottom:1px solid #e3e5e8}
</style></head><body><h1 id="title">API</h1><p><a href="/openapi.json">openapi.json</a></p><div id="list"></div>
<script>
const add = (parent, tag, text, cls) => {
  const made = document.createElement(tag);
  made.textContent = text ?? ""; if (cls) made.className = cls;
  parent.append(made); return made;
};
fetch("/openapi.json").then(answer => answer.json()).then(api => {
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  const resolve = part => part && part.$ref
    ? part.$ref.slice(2).split("/").reduce((at, key) => at[key], api) : part;
  const groups = {};
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, one] of Object.entries(methods))
      (groups[one.tags[0]] ??= []).push({path, method, one});
  const list = document.getElementById("list");
  for (const [group, entries] of Object.entries(groups)) {
    add(list, "h2", group);
    for (const {path, method, one} of entries) {
      const details = add(list, "details"), summary = add(details, "summary");
      add(summary, "b", method.toUpperCase(), "m"); add(summary, "code", path);
      add(summary, "span", "  " + (one["x-freehold-access"] ?? ""), "a");
      if (one.description) add(details, "p", one.description);
      for (const parameter of one.parameters ?? [])
        add(details, "div", `${parameter.in} ${parameter.name}${parameter.required ? " (required)" : ""}`, "a");
      const body = resolve(one.requestBody)?.content?.["application/json"]?.schema;
      if (body) { add(details, "p", "Body"); add(details, "pre", JSON.stringify(resolve(body), null, 2)); }
      for (const [status, answer] of Object.entries(one.responses)) {
        const schema = answer.content?.["application/json"]?.schema;
        add(details, "p", `${status} ${answer.description}`, "a");
        if (schema) add(details, "pre", JSON.stringify(resolve(schema), null, 2));
      }
    }
  }
});
</script></body></html>
"""
