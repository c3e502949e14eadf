#!/usr/bin/perl
# switch-to-configuration boot|switch|test|dry-activate: makes this system the
# one that boots next, the one that runs, or both. What it stops, reloads,
# restarts and starts, in which order, what it says and how it exits are those
# of NixOS, as far as a tool that deploys can tell.
use strict;
use warnings;
use Fcntl ':flock';
use File::Basename qw(basename);

my $out    = "@out@";
my $units  = "etc/systemd/system";
my $lists  = "/run/nixos";
my $action = $ARGV[0] // "";

if ($action !~ /^(boot|switch|test|dry-activate)$/) {
    print STDERR <<USAGE;
Usage: $0 [switch|boot|test|dry-activate]

switch:       make the configuration the boot default and activate now
boot:         make the configuration the boot default
test:         activate the configuration, but don't make it the boot default
dry-activate: show what would be done if this configuration were activated
USAGE
    exit 1;
}

# A vanished terminal does not end it, but a vanished reader of its output does.
$SIG{HUP} = "IGNORE";
$| = 1;
$ENV{PATH} = "/usr/bin:/bin:/usr/sbin:/sbin";
$ENV{NIXOS_ACTION} = $action;

if ($action eq "boot" || $action eq "switch") {
    if (system("@installBootLoader@", $out) != 0) {
        print STDERR "Failed to install bootloader\n";
        exit 1;
    }
    exit 0 if $action eq "boot";
}

mkdir $lists;
open(my $lock, ">>", "$lists/switch-to-configuration.lock") or die "Could not open lock - $!\n";
if (!flock($lock, LOCK_EX | LOCK_NB)) {
    print STDERR "Could not acquire lock\n";
    exit 1;
}

# A system that needs another init cannot be switched to, only booted.
my $interface = contents("$out/init-interface-version") // "";
if ((contents("/run/current-system/init-interface-version") // $interface) ne $interface) {
    print STDERR <<EOM;
Warning: the new NixOS configuration has an ‘init’ that is
incompatible with the current configuration.  The new configuration
won't take effect until you reboot the system.
EOM
    exit 100;
}

# As the switch of NixOS since 24.11, it waits until the boot has ended.
until (`systemctl is-system-running` =~ /^(running|degraded|maintenance)$/m) {
    select(undef, undef, undef, 0.1);
}

# ---- units, as files and as systemd sees them ----

sub contents {
    my ($path) = @_;
    local $/;
    open(my $in, "<", $path) or return undef;
    return scalar <$in>;
}

# The file of a unit in a system; that of its template for an instance.
sub unitFile {
    my ($system, $unit) = @_;
    my $file = "$system/$units/$unit";
    return $file if -e $file;
    return "$system/$units/$1\@.$2" if $unit =~ /^(.*)@[^.]*\.(.*)$/ && -e "$system/$units/$1\@.$2";
    return $file;
}

# A unit file with its drop-ins: { Section => { Key => [values] } }.
sub parse {
    my ($file) = @_;
    my %unit;
    for my $part ($file, sort glob("\Q$file\E.d/*.conf")) {
        my $section = "";
        for (split(/\n/, contents($part) // "")) {
            if    (/^\[(.*)\]$/)            { $section = $1 }
            elsif (/^([^#;=][^=]*?)=(.*)$/) { push @{ $unit{$section}{$1} }, $2 }
        }
    }
    return \%unit;
}

sub flag {
    my ($unit, $section, $key, $default) = @_;
    my $values = $unit->{$section}{$key} or return $default;
    return $values->[-1] =~ /^(1|yes|true|on)$/i;
}

sub activeUnits {
    my %active;
    for (split(/\n/, `systemctl list-units --full --all --plain --no-legend --no-pager`)) {
        my ($name, $load, $state, $sub) = split(/\s+/, s/^\s+//r);
        next if $load eq "not-found" && $state eq "inactive";
        $active{$name} = { load => $load, state => $state, sub => $sub };
    }
    return \%active;
}

# "same", "reload" when only its reload triggers differ, or "changed".
sub compare {
    my ($old, $new) = @_;
    my %ignored = map { ($_ => 1) } qw(Description Documentation OnFailure OnSuccess OnFailureJobMode CollectMode
      SourcePath JobTimeoutSec JobTimeoutAction StartLimitIntervalSec StartLimitBurst RefuseManualStop AllowIsolate);
    my $result = "same";
    my %sections = map { ($_ => 1) } keys %$old, keys %$new;
    delete $sections{Install};
    for my $section (keys %sections) {
        my %keys = map { ($_ => 1) } keys %{ $old->{$section} // {} }, keys %{ $new->{$section} // {} };
        for my $key (keys %keys) {
            next if $section eq "Unit" && $ignored{$key};
            my $a = join("\0", @{ $old->{$section}{$key} // [] });
            next if $a eq join("\0", @{ $new->{$section}{$key} // [] });
            if ($section eq "Unit" && $key eq "X-Reload-Triggers") { $result = "reload" if $result eq "same" }
            else                                                   { return "changed" }
        }
    }
    return $result;
}

# ---- what is to be done ----

# Lists that survive a switch which was cut off, so that the next one goes on.
sub fromList { return map { ($_ => 1) } grep { $_ ne "" } split(/\n/, contents("$lists/$_[0]") // "") }

sub toList {
    my ($name, $set) = @_;
    return if $action eq "dry-activate";
    open(my $file, ">", "$lists/$name") or return;
    print $file map { "$_\n" } sort keys %$set;
    close($file);
}

my $current = readlink("/run/current-system") // "";
my $before  = activeUnits();
my (%stop, %skip, %hidden);
my %start   = fromList("start-list");
my %restart = fromList("restart-list");
my %reload  = fromList("reload-list");

sub changed {
    my ($unit, $new) = @_;
    if ($unit =~ /\.slice$/ || $unit =~ /^(sysinit|basic|multi-user|graphical)\.target$/ || $unit =~ /\.socket$/) {
        return;    # takes effect without a restart, or cannot be restarted
    }
    if ($unit =~ /\.mount$/) { $restart{$unit} = 1; return }
    if (flag($new, "Service", "X-ReloadIfChanged", 0) && !$restart{$unit} && !$stop{$unit}) {
        $reload{$unit} = 1;
    }
    elsif (!flag($new, "Service", "X-RestartIfChanged", 1)
        || flag($new, "Unit", "RefuseManualStop",  0)
        || flag($new, "Unit", "X-OnlyManualStart", 0))
    {
        $skip{$unit} = 1;
    }
    elsif (!flag($new, "Service", "X-StopIfChanged", 1) || $unit !~ /\.service$/) {
        $restart{$unit} = 1;
        delete $reload{$unit};
    }
    else {
        my @sockets = map { split(/\s+/) } @{ $new->{Service}{Sockets} // [] };
        @sockets = ($unit =~ s/\.service$/.socket/r) unless @sockets;
        my $bySocket = 0;
        for my $socket (grep { $before->{$_} && $before->{$_}{state} eq "active" } @sockets) {
            $stop{$socket} = 1;
            if (-e "$out/$units/$socket") { $start{$socket} = 1; $bySocket = 1 }
        }
        $start{$unit} = 1 unless $bySocket && !flag($new, "Service", "X-NotSocketActivated", 0);
        $stop{$unit} = 1;
        delete $reload{$unit};
    }
}

for my $unit (sort keys %$before) {
    my $state = $before->{$unit}{state};
    next unless $state eq "active" || $state eq "activating";
    my $old = unitFile($current, $unit);
    my $new = unitFile($out, $unit);
    if ($unit =~ /\.target$/) {
        # Starting targets again starts what they newly want.
        next if $unit =~ /^(suspend|hibernate|hybrid-sleep|sysinit-reactivation)\.target$/;
        if ($current ne "" && -e $old && !-e $new) {
            $stop{$unit} = 1 if flag(parse($old), "Unit", "X-StopOnRemoval", 1);
            next;
        }
        my $info = parse(-e $new ? $new : "/usr/lib/systemd/system/$unit");
        next if flag($info, "Unit", "RefuseManualStart", 0) || flag($info, "Unit", "X-OnlyManualStart", 0);
        $start{$unit} = $hidden{$unit} = 1;
        $stop{$unit} = 1 if flag($info, "Unit", "X-StopOnReconfiguration", 0);
        next;
    }
    next unless $current ne "" && -e $old;
    if (!-e $new || (readlink($new) // "") eq "/dev/null") {
        $stop{$unit} = 1 if flag(parse($old), "Unit", "X-StopOnRemoval", 1);
        next;
    }
    my $info = parse($new);
    my $difference = compare(parse($old), $info);
    if    ($difference eq "changed") { changed($unit, $info) }
    elsif ($difference eq "reload")  { $reload{$unit} = 1 unless $restart{$unit} }
}

sub say_units {
    my ($title, $set) = @_;
    my @shown = sort grep { !$hidden{$_} } keys %$set;
    print STDERR "$title: ", join(", ", @shown), "\n" if @shown;
}

# Units that an activation script asked for, by writing them to these files.
sub fromActivation {
    my ($prefix) = @_;
    for my $unit (keys %{ { fromList("$prefix-restart-list") } }) {
        if (!$before->{$unit}) { $start{$unit} = 1 }
        else                   { changed($unit, parse(unitFile($out, $unit))) }
    }
    for my $unit (keys %{ { fromList("$prefix-reload-list") } }) {
        $reload{$unit} = 1 if ($before->{$unit}{state} // "") eq "active" && !$restart{$unit} && !$stop{$unit};
    }
    unlink "$lists/$prefix-restart-list", "$lists/$prefix-reload-list";
}

if ($action eq "dry-activate") {
    say_units("would stop the following units", \%stop);
    say_units("would NOT stop the following changed units", \%skip);
    print STDERR "would activate the configuration...\n";
    system("$out/dry-activate", $out);
    fromActivation("dry-activation");
    say_units("would reload the following units", \%reload);
    say_units("would restart the following units", \%restart);
    say_units("would start the following units", \%start);
    exit 0;
}

# ---- doing it ----

my $result = 0;

sub run_units {
    my ($verb, $set) = @_;
    return system("systemctl", $verb, "--", sort keys %$set) == 0;
}

toList("start-list",   \%start);
toList("restart-list", \%restart);
toList("reload-list",  \%reload);

if (%stop) {
    say_units("stopping the following units", \%stop);
    run_units("stop", \%stop);
}
say_units("NOT restarting the following changed units", \%skip);

print STDERR "activating the configuration...\n";
$result = 2 if system("$out/activate", $out) != 0;
my %stoppedBefore = %stop;
fromActivation("activation");
my %stopNow = map { ($_ => 1) } grep { !$stoppedBefore{$_} } keys %stop;
run_units("stop", \%stopNow) if %stopNow;

system("systemctl", "reset-failed");
$result = 3 if system("systemctl", "daemon-reload") != 0;
print STDERR "restarting sysinit-reactivation.target\n";
$result = 4 if system("systemctl", "restart", "sysinit-reactivation.target") != 0;

# What is no longer active has nothing to reload: it is started instead.
if (%reload) {
    my $now = activeUnits();
    for my $unit (keys %reload) {
        next if ($now->{$unit}{state} // "") eq "active";
        delete $reload{$unit};
        $start{$unit} = 1 if -e unitFile($out, $unit) && !flag(parse(unitFile($out, $unit)), "Unit", "RefuseManualStart", 0);
    }
}
if (%reload) {
    say_units("reloading the following units", \%reload);
    $result = 4 unless run_units("reload", \%reload);
    unlink "$lists/reload-list";
}
if (%restart) {
    say_units("restarting the following units", \%restart);
    $result = 4 unless run_units("restart", \%restart);
    unlink "$lists/restart-list";
}
say_units("starting the following units", \%start);
$result = 4 unless !%start || run_units("start", \%start);
unlink map { "$lists/$_-list" } qw(start restart reload);

# ---- what came of it ----

my (@failed, @new);
my $after = activeUnits();
for my $unit (sort keys %$after) {
    my $now = $after->{$unit};
    if ($now->{state} eq "failed") { push @failed, $unit }
    elsif ($now->{sub} eq "auto-restart") {
        my ($status) = `systemctl show --property=ExecMainStatus --value -- '$unit'` =~ /(\d+)/;
        push @failed, $unit if $status;
    }
    elsif ($now->{state} ne "inactive" && !$before->{$unit} && $unit !~ /\.(device|scope|slice)$/) {
        push @new, $unit unless $unit =~ /\.mount$/;
    }
    elsif ($now->{state} eq "active" && $before->{$unit} && $before->{$unit}{state} =~ /^(inactive|failed)$/) {
        push @new, $unit unless $hidden{$unit};
    }
}
print STDERR "the following new units were started: ", join(", ", @new), "\n" if @new;
if (@failed) {
    print STDERR "warning: the following units failed: ", join(", ", @failed), "\n";
    system("systemctl", "status", "--no-pager", "--full", "--", @failed);
    $result = 4;
}
exit $result;
