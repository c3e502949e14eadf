module github.com/colmena-go/colmena-go

go 1.26
