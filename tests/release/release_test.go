// Package release_test makes what people install, and looks at it.
package release_test

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"debug/macho"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/version"
)

const module = "github.com/colmena-go/colmena-go"

// told is what a binary says it is.
func told(t *testing.T, binary string) (info version.Info) {
	t.Helper()
	out, err := exec.Command(binary, "version", "--json").Output()
	if err != nil {
		t.Fatalf("%s version --json: %v", binary, err)
	}
	if err := json.Unmarshal(out, &info); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return info
}

func TestAReleaseRunsWhereThereIsNoLibrary(t *testing.T) {
	dir := t.TempDir()
	make := exec.Command("make", "-s", "-C", "../..", "dist", "DIST="+dir)
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("make dist: %v\n%s", err, out)
	}
	name := func(os, arch string) string {
		return filepath.Join(dir, "colmena-go-"+version.Number+"-"+os+"-"+arch)
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		file, err := elf.Open(name("linux", arch))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if file.Machine != machine {
			t.Errorf("linux-%s is for %v", arch, file.Machine)
		}
		for _, part := range file.Progs {
			if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
				t.Errorf("linux-%s needs a loader: it has %v", arch, part.Type)
			}
		}
	}
	for arch, cpu := range map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64} {
		file, err := macho.Open(name("darwin", arch))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if file.Cpu != cpu {
			t.Errorf("darwin-%s is for %v", arch, file.Cpu)
		}
	}
	if info := told(t, name(runtime.GOOS, runtime.GOARCH)); info.Version != version.Number || !info.Static {
		t.Errorf("it says that it is %+v", info)
	}
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 4 {
		t.Errorf("SHA256SUMS: %v\n%s", err, out)
	}
}

// `go install` takes a module as a proxy hands it out: a zip of what git tracks,
// without replacements. Here the proxy is a folder.
func TestGoInstallMakesTheProgram(t *testing.T) {
	dir := t.TempDir()
	tag := "v" + version.Number
	script := `mkdir -p "$1/proxy/$3/@v" "$1/tree/$3@$2"
cd ../..
git ls-files --cached --others --exclude-standard >"$1/list"
tar -c --ignore-failed-read -T "$1/list" 2>/dev/null | tar -x -C "$1/tree/$3@$2"
echo "$2" >"$1/proxy/$3/@v/list"
cp go.mod "$1/proxy/$3/@v/$2.mod"
printf '{"Version":"%s","Time":"2026-01-01T00:00:00Z"}' "$2" >"$1/proxy/$3/@v/$2.info"
go mod download`
	if out, err := exec.Command("sh", "-euc", script, "sh", dir, tag, module).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	if err := errors.Join(pack(archive, dir+"/tree"), archive.Close(), os.WriteFile(filepath.Join(dir, "proxy", module, "@v", tag+".zip"), packed.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	known, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	install := exec.Command("go", "install", module+"@"+tag)
	install.Dir = dir
	install.Env = append(os.Environ(), "GOBIN="+dir+"/bin", "GOFLAGS=-modcacherw", "GOMODCACHE="+dir+"/mod", "GONOSUMDB="+module, "GONOPROXY=none", "GOSUMDB=off", "GOPRIVATE=",
		fmt.Sprintf("GOPROXY=file://%s/proxy,file://%s/cache/download", dir, strings.TrimSpace(string(known))))
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install %s@%s: %v\n%s", module, tag, err, out)
	}
	if info := told(t, dir+"/bin/colmena-go"); info.Version != version.Number || info.Commit != "" {
		t.Errorf("it says that it is %+v", info)
	}
}

// pack puts the files of a folder into an archive, and no folders: go refuses those.
func pack(archive *zip.Writer, dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		inside, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		part, err := archive.Create(inside)
		if err != nil {
			return err
		}
		_, err = part.Write(content)
		return err
	})
}
