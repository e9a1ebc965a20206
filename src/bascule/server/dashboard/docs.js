// Swagger UI over this server's own OpenAPI document.
window.onload = () => {
  window.ui = SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
};
