import(new URL(props.module_url, document.baseURI).href)
  .then((bundle) => bundle.mount({ element, props, trigger, watch, upload }))
  .catch((error) => {
    console.error(error);
    element.insertAdjacentHTML("beforeend", "<p role='alert'>This part of the page did not load. Reload the page.</p>");
  });
