"""The JSON objects that the API answers, as types; OpenAPI and the GUI's types are made of them."""
