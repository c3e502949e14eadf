# `nix run .#deploy -- ARGS` applies, unless ARGS begin with another command.
{ writeShellScript, colmena-go }:
writeShellScript "colmena-go-deploy" ''
  case ''${1-} in
    apply | build | upload-keys | list | help | --help | -h | --version) ;;
    *) set -- apply "$@" ;;
  esac
  exec ${colmena-go}/bin/colmena-go "$@"
''
