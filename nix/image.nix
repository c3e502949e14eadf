# A container image (OCI) for CI: colmena-go with what it runs.
#   nix build .#image && docker load <result
{
  dockerTools,
  colmena-go,
  bashInteractive,
  cacert,
  coreutils,
  gitMinimal,
  nix,
  openssh,
}:
dockerTools.buildLayeredImage {
  name = "colmena-go";
  tag = colmena-go.version;

  contents = [
    colmena-go
    nix # evaluates, builds and copies
    openssh # reads ssh_config, and connects where our own client cannot
    gitMinimal # flakes
    bashInteractive # keyCommands
    coreutils
    cacert
    dockerTools.fakeNss # root and its home, which ssh and Nix ask for
  ];

  # So that Nix there knows what is in its store.
  includeNixDB = true;

  extraCommands = "mkdir -m 1777 tmp; mkdir -p root";

  config = {
    Entrypoint = [ "/bin/colmena-go" ];
    WorkingDir = "/hive";
    Env = [
      "HOME=/root"
      "USER=root"
      "PATH=/bin"
      "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"
      "NIX_SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"
      # No daemon and no users to build as: the container is the sandbox.
      "NIX_CONFIG=experimental-features = nix-command flakes\nbuild-users-group =\nsandbox = false"
    ];
  };
}
