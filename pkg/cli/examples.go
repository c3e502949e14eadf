package cli

// examples are those of each command, and of the program.
var examples = map[string][]example{
	"": {
		{"colmena-go plan", "what apply would do, without doing it"},
		{"colmena-go apply --on @web", "deploy the nodes with the tag web"},
		{"colmena-go upload-keys --on db", "deliver the keys of one node again"},
	},
	"apply": {
		{"colmena-go apply", "build, copy, upload keys and switch, on every node"},
		{"colmena-go apply --on 'web-*,!web-9' test", "try some nodes out until they reboot"},
		{"colmena-go apply boot --reboot -p 2", "reboot into the new system, two hosts at a time"},
		{"colmena-go apply --ask", "show what would change, and ask before it does"},
		{"colmena-go apply --json >results.json", "keep what became of each node"},
	},
	"apply-local": {
		{"colmena-go apply-local --sudo", "deploy the node that has this machine's name"},
		{"colmena-go apply-local --node laptop --dry-run", "what would change on this machine, as the node laptop"},
	},
	"build": {
		{"colmena-go build --on @web", "see whether some systems can be built"},
		{"colmena-go build --keep-result", "keep them, with links in .gcroots"},
	},
	"upload-keys": {
		{"colmena-go upload-keys --on @web", "deliver all keys of some nodes"},
		{"colmena-go upload-keys --root /mnt", "those of systems before their first boot"},
		{"colmena-go upload-keys --dry-run", "which keys differ from those on the hosts"},
		{"colmena-go upload-keys --watch", "and again after each reboot of a host, until ^C"},
	},
	"plan": {
		{"colmena-go plan --on @web", "what apply would change on some hosts"},
		{"colmena-go plan boot", "the same for apply boot"},
		{"colmena-go plan --json || [ $? = 3 ]", "for a program; 3 says that there are changes"},
	},
	"diff": {
		{"colmena-go diff --on db", "which packages differ from what the host runs"},
		{"colmena-go diff --json", "the same for a program"},
	},
	"status": {
		{"colmena-go status", "what all hosts run, and what is wrong with them"},
		{"colmena-go status --hosts-only --on @web", "the same without an evaluation of systems"},
		{"colmena-go status --watch", "refreshed every few seconds, until q"},
	},
	"keys": {
		{"colmena-go keys list --on db", "which keys a node declares, and where they go"},
		{"colmena-go keys status", "whether all hosts have their keys; no source is read"},
		{"colmena-go keys diff --on @web", "what upload-keys would change"},
	},
	"list": {
		{"colmena-go list --on '@web,!@old'", "see which nodes a selection takes"},
		{"colmena-go list --json", "names, targets, tags and keys for a program"},
	},
	"reboot": {
		{"colmena-go reboot --on @web -p 2", "reboot some hosts, two at a time"},
		{"colmena-go reboot --if-needed", "only those that run another kernel than they would boot"},
	},
	"exec": {
		{"colmena-go exec --on @web -- systemctl is-active nginx", "run a command on some hosts"},
		{"colmena-go exec --group -- uname -r", "show what is equal only once"},
		{"colmena-go exec --stdin -- tee /etc/motd <motd", "send a file to all of them"},
		{"colmena-go exec --tty --on db -- htop", "use a program by hand"},
	},
	"eval": {
		{"colmena-go eval -E '{ nodes, lib, ... }: lib.attrNames nodes'", "the nodes' names"},
		{"colmena-go eval -E '{ nodes, ... }: nodes.db.config.time.timeZone'", "an option of a node"},
		{"colmena-go eval --instantiate FILE.nix", "the derivations that an expression names"},
	},
	"repl": {
		{"colmena-go repl", "explore the nearest hive"},
		{"colmena-go repl -f ./hive.nix", "explore another one"},
	},
	"nix-info": {{"colmena-go nix-info", "for a report of a fault"}},
	"completion": {
		{"source <(colmena-go completion bash)", "for bash, in ~/.bashrc"},
		{"colmena-go completion zsh >~/.zfunc/_colmena-go", "for zsh, with \"fpath+=~/.zfunc\" before compinit"},
		{"colmena-go completion fish >~/.config/fish/completions/colmena-go.fish", "for fish"},
	},
	"man":     {{"colmena-go man /usr/local/share/man/man1", "install the manual pages"}},
	"version": {{"colmena-go version", "the version, the commit and the platform"}},
	"help":    {{"colmena-go help apply", "the help of a command"}},
}
