# `nix run .#deploy -- ARGS` applies, unless ARGS begin with another command.
{ writeShellScript, colmena-go }:
writeShellScript "colmena-go-deploy" ''
  case ''${1-} in
    apply | apply-local | build | eval | exec | help | h | list | nix-info | repl | upload-keys) ;;
    -h | --help | --version) ;;
    *) set -- apply "$@" ;;
  esac
  exec ${colmena-go}/bin/colmena-go "$@"
''
