{
# Serves the host's store for questions. Nothing can be put into it in this way, and
# nothing is kept from the garbage collector.
exec nix-store --serve
}
