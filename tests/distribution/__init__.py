"""How the project is handed out: its versions, requirements, manifests, packages and images."""
