"""The description of the API, as data beside the operations: one file per noun, one that writes it all out.

description.py says what can be said, schemas.py and samples.py are what it is said with, document.py writes
the OpenAPI document. tests/contract/test_openapi.py keeps it equal to operations.py and to what is answered.
"""
