module github.com/parade-go/parade

go 1.26
