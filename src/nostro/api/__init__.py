"""HTTP: the routes, the contract of the five systems, authentication, problems."""
