// A script of its own: the page allows no inline one.
window.SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#viewer',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  // Not even the badge that asks an outside validator.
  validatorUrl: null,
});
