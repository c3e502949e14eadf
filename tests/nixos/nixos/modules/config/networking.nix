# The host's name. The rest of the network is the container's business, so
# those options are accepted and have no effect.
{ config, lib, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.networking;

  accepted =
    type: default: description:
    mkOption { inherit type default description; };
  ports =
    what:
    mkOption {
      type = types.listOf types.port;
      default = [ ];
      apply = ports: lib.unique (builtins.sort builtins.lessThan ports);
      description = "Open ${what} ports.";
    };
in
{
  options.networking = {
    hostName = mkOption {
      type = types.strMatching "^$|^[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?$";
      default = config.system.nixos.distroId;
      description = "The name of the machine.";
    };
    domain = accepted (types.nullOr types.str) null "The domain.";
    fqdn = mkOption {
      type = types.str;
      readOnly = true;
      default =
        if cfg.hostName != "" && cfg.domain != null then
          "${cfg.hostName}.${cfg.domain}"
        else
          throw "The FQDN is required but cannot be determined from `networking.hostName' and `networking.domain'.";
      description = "The fully qualified domain name.";
    };
    hostId = accepted (types.nullOr types.str) null "The 32-bit host id.";
    hosts = accepted (types.attrsOf (types.listOf types.str)) { } "Locally defined maps of host names to addresses.";
    extraHosts = accepted types.lines "" "Additional verbatim entries of {file}`/etc/hosts`.";
    nameservers = accepted (types.listOf types.str) [ ] "The name servers.";
    useDHCP = accepted types.bool true "Whether to use DHCP on all interfaces.";
    useNetworkd = accepted types.bool false "Whether systemd-networkd configures the network.";
    interfaces = accepted (types.attrsOf types.anything) { } "The network interfaces.";
    defaultGateway = accepted (types.nullOr types.anything) null "The default gateway.";
    firewall = {
      enable = accepted types.bool true "Whether to enable the firewall.";
      allowPing = accepted types.bool true "Whether to answer pings.";
      allowedTCPPorts = ports "TCP";
      allowedUDPPorts = ports "UDP";
    };
  };

  config.environment.etc.hostname = lib.mkIf (cfg.hostName != "") { text = "${cfg.hostName}\n"; };
}
