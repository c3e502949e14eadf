# A configuration of a flake -> it with those of our options and modules that it
# lacks: it may have Colmena's options, nixosModules.default, or others below
# deployment.
{ options, keys }:
name: configuration:
let
  theirs = configuration.options.deployment or { };
  clash =
    option: at:
    throw "colmena-go: the configuration declares the option ${option} itself (${toString (at.declarations or [ ])}), which means something else here: rename it";
  isOption = value: (value._type or null) == "option";
  keyOptions = builtins.attrNames (theirs.keys.type.getSubOptions [ ]);
  keysOf = builtins.filter (option: !builtins.elem option keyOptions) [
    "text"
    "keyFile"
    "keyCommand"
    "destDir"
    "name"
    "path"
    "user"
    "group"
    "permissions"
    "uploadAt"
  ];
  # Who imports nixosModules.default has the units already, and with Colmena's
  # module for them each comes with a path unit.
  unitsThere =
    theirs ? keys
    && (
      let
        inherit (configuration.config) deployment systemd;
        its = builtins.attrNames deployment.keys;
      in
      its != [ ]
      && (systemd.services ? colmena-go-keys || builtins.any (key: (systemd.paths or { }) ? "${key}-key") its)
    );
  refuse = what: throw "colmena-go: nixosConfigurations.${name} is ${what}: make it with `nixpkgs.lib.nixosSystem { modules = [ … ]; }`";
in
if builtins.isFunction configuration then
  refuse "a function, as a module is"
else if !(configuration ? config) then
  refuse "not what nixosSystem returns"
else if !(configuration ? extendModules) then
  refuse "made by a nixpkgs from before 21.11, which cannot be extended"
else if isOption theirs then
  clash "deployment" theirs
else if theirs ? keys && (!isOption theirs.keys || keysOf != [ ]) then
  clash "deployment.keys" theirs.keys
else
  configuration.extendModules {
    modules = [
      # Not as a special argument, which might be one of theirs.
      (
        args:
        let
          ours = options.deployment (args // { inherit name; });
        in
        ours // { options.deployment = removeAttrs ours.options.deployment (builtins.attrNames theirs); }
      )
    ]
    ++ (if unitsThere then [ ] else [ keys ]);
  }
