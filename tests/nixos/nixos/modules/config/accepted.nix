# Options that hives often set and that change nothing a test could see.
{ lib, ... }:
let
  inherit (lib) types;
  accepted =
    type: default: description:
    lib.mkOption { inherit type default description; };
in
{
  options = {
    time.timeZone = accepted (types.nullOr types.str) null "The time zone.";
    i18n.defaultLocale = accepted types.str "en_US.UTF-8" "The default locale.";
    console.keyMap = accepted (types.either types.str types.path) "us" "The keyboard mapping of the console.";
    documentation.enable = accepted types.bool true "Whether to install documentation.";
    documentation.nixos.enable = accepted types.bool true "Whether to install NixOS' own documentation.";
    nix.enable = accepted types.bool true "Whether to enable Nix.";
    nix.settings = accepted (types.attrsOf types.anything) { } "Settings of Nix.";
    nix.gc.automatic = accepted types.bool false "Whether to collect garbage on a schedule.";
    security.sudo.enable = accepted types.bool true "Whether to enable sudo.";
    security.sudo.wheelNeedsPassword = accepted types.bool true "Whether users of the wheel group need a password.";
    services.getty.autologinUser = accepted (types.nullOr types.str) null "The user logged in on the console.";
  };
}
