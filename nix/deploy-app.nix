# `nix run .#deploy -- ARGS` applies, unless ARGS begin with another command.
{ writeShellScript, colmena-go }:
writeShellScript "colmena-go-deploy" ''
  case ''${1-} in
    apply | apply-local | build | completion | diff | eval | exec | gen-completions | help | h | introspect | keys | list | man | nix-info | plan | reboot | repl | status | upload-keys | version) ;;
    -h | --help | -V | --version) ;;
    *) set -- apply "$@" ;;
  esac
  exec ${colmena-go}/bin/colmena-go "$@"
''
