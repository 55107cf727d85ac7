// For editors and `go vet`: banksman builds these packages itself, and their import paths are their places in the workspace.
module bank

go 1.24
