# `nix run .#deploy -- ARGS` applies, unless ARGS begin with another command.
{ writeShellScript, colmena-go }:
writeShellScript "colmena-go-deploy" ''
  case ''${1-} in
    keys) case ''${2-} in diff | list | status) ;; *) set -- apply "$@" ;; esac ;; # which is a goal, too
    apply | apply-local | build | completion | diff | eval | exec | gen-completions | help | h | introspect | list | man | nix-info | plan | reboot | repl | status | upload-keys | version) ;;
    -h | --help | -V | --version) ;;
    *) set -- apply "$@" ;;
  esac
  exec ${colmena-go}/bin/colmena-go "$@"
''
