// Package schemas holds what the program prints against the schemas in docs/, for every
// test that has some of it.
package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// home is what the ids of all schemas begin with.
const home = "https://github.com/colmena-go/colmena-go/docs/"

// Files are all schemas.
func Files() ([]string, error) {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Glob(filepath.Join(filepath.Dir(here), "../../docs/*.schema.json"))
}

// Compile reads the schema in docs/NAME.schema.json.
func Compile(name string) (*jsonschema.Schema, error) {
	files, err := Files()
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = compiler.AddResource(home+filepath.Base(file), schema)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return compiler.Compile(home + name + ".schema.json")
}

// Validate sees that a text is JSON documents, at least one, each of which is as
// docs/NAME.schema.json says.
func Validate(name string, text []byte) error {
	schema, err := Compile(name)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	for i := 1; ; i++ {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) && i > 1 {
			return nil
		}
		if err == nil {
			err = schema.Validate(document)
		}
		if err != nil {
			return fmt.Errorf("document %d: %w", i, err)
		}
	}
}
