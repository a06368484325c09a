"""The room of `sign`: a bundle becomes a release of an app, named by the signed app role."""
