module github.com/colmena-go/colmena-go

go 1.26

require (
	github.com/hashicorp/errwrap v1.0.0 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	go.uber.org/goleak v1.3.0 // indirect
)
