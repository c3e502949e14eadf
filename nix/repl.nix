# What `nix repl` loads: the names in its scope are those that an expression gets
# (introspect.nix). c is all the rest, see embed.go. Where the hive is comes with
# --argstr, so that the text is always the same.
{
  file ? null,
  flake ? null,
}:
c.introspect { instantiate = false; } (scope: scope) (
  if flake != null then
    c.fromOutputs { flakeSource = true; } (builtins.getFlake flake).outputs
  else
    c.makeHive { hermetic = false; } (import file)
)
