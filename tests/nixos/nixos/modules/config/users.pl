# users.pl SPEC: makes the users and groups of SPEC on this host, in
# /etc/passwd, /etc/group and /etc/shadow. Those that the host has of its own
# stay, with their ids; those that SPEC no longer names are removed if this
# program made them.
use strict;
use warnings;
use Fcntl ':flock';

my ($specFile) = @ARGV;
my $dry   = ($ENV{NIXOS_ACTION} // "") eq "dry-activate";
my $state = "/var/lib/nixos";
my %made;    # "user NAME" and "group NAME" that an earlier run made

sub lines {
    my ($path) = @_;
    open(my $in, "<", $path) or return ();
    chomp(my @lines = <$in>);
    return @lines;
}

sub replaceFile {
    my ($path, $mode, @lines) = @_;
    return if $dry || join("\n", @lines) eq join("\n", lines($path));
    my @old = stat($path);
    open(my $out, ">", "$path.tmp") or die "cannot write $path.tmp: $!\n";
    chmod $mode, $out;
    chown $old[4], $old[5], $out if @old;
    print $out map { "$_\n" } @lines;
    close($out) or die "cannot write $path.tmp: $!\n";
    rename("$path.tmp", $path) or die "cannot replace $path: $!\n";
}

# --- what is wanted, and what the host has ---

my (@groups, @users, $mutable);
for my $line (lines($specFile)) {
    my ($kind, @fields) = map { $_ eq "-" ? undef : $_ } split(/\t/, $line, -1);
    if    ($kind eq "group")   { push @groups, { name => $fields[0], gid => $fields[1], members => $fields[2] // "" } }
    elsif ($kind eq "mutable") { $mutable = $fields[0] eq "true" }
    else {
        my %user;
        @user{qw(name uid type group home shell homeMode hash description)} = @fields;
        push @users, \%user;
    }
}

mkdir $state unless $dry;
open(my $lock, ">", "/etc/.pwd.lock") or die "cannot lock /etc/passwd: $!\n";
flock($lock, LOCK_EX) unless $dry;

$made{$_} = 1 for lines("$state/declarative");
my %wanted = ((map { ("group $_->{name}" => 1) } @groups), (map { ("user $_->{name}" => 1) } @users));

my (@passwd, %passwd, @group, %group, @shadow, %shadow);
for (lines("/etc/group")) {
    my ($name, $pw, $gid, $members) = split(/:/, $_, -1);
    next if $made{"group $name"} && !$wanted{"group $name"};
    push @group, $group{$name} = { name => $name, gid => $gid, members => $members // "" };
}
for (lines("/etc/passwd")) {
    my @fields = split(/:/, $_, -1);
    next if $made{"user $fields[0]"} && !$wanted{"user $fields[0]"};
    my %user;
    @user{qw(name pw uid gid description home shell)} = @fields;
    push @passwd, $passwd{ $user{name} } = \%user;
}
for (lines("/etc/shadow")) {
    my ($name) = /^([^:]*):/ or next;
    push @shadow, $shadow{$name} = { name => $name, line => $_ };
}

# --- groups first, since users name them ---

# Ids that were given to a name before are given to it again.
my %lastId = map { split(/\t/, $_) } lines("$state/ids");

sub freeId {
    my ($key, $used, @range) = @_;
    my $last = $lastId{$key};
    return $last if defined $last && !$used->{$last};
    for my $id (@range) {
        return $lastId{$key} = $id unless $used->{$id} || grep { $_ eq $id } values %lastId;
    }
    die "no free id for $key\n";
}

# NixOS' fixed ids (below 400) may be others of the host's own; that is no news.
sub taken {
    my ($kind, $id, $name, $used) = @_;
    return 0 unless defined $id && defined $used->{$id};
    print STDERR "warning: $kind $id of '$name' belongs to '$used->{$id}' on this host; taking another\n" if $id >= 400;
    return 1;
}

my %usedGid = map { ($_->{gid} => $_->{name}) } @group;
for my $want (@groups) {
    my $name = $want->{name};
    my $have = $group{$name};
    if (!$have) {
        my $gid = $want->{gid};
        undef $gid if taken("GID", $gid, $name, \%usedGid);
        $gid //= freeId("group $name", \%usedGid, reverse 400 .. 999);
        $usedGid{$gid} = $name;
        push @group, $have = $group{$name} = { name => $name, gid => $gid, members => "" };
        $made{"group $name"} = 1;
    }
    my %member;
    my @members = grep { $_ ne "" && !$member{$_}++ } ($made{"group $name"} ? () : split(/,/, $have->{members})),
      split(/,/, $want->{members});
    $have->{members} = join(",", @members);
}

# --- users ---

my %usedUid = map { ($_->{uid} => $_->{name}) } @passwd;
for my $want (@users) {
    my $name = $want->{name};
    my $gid = defined $group{ $want->{group} } ? $group{ $want->{group} }{gid} : undef;
    $gid = $want->{group} if !defined $gid && $want->{group} =~ /^[0-9]+$/;
    if (!defined $gid) {
        print STDERR "warning: user '$name' has unknown group '$want->{group}'\n";
        $gid = 65534;
    }
    my $have = $passwd{$name};
    if (!$have) {
        my $uid = $want->{uid};
        undef $uid if taken("UID", $uid, $name, \%usedUid);
        $uid //= freeId("user $name", \%usedUid, $want->{type} eq "normal" ? (1000 .. 29999) : reverse(400 .. 999));
        $usedUid{$uid} = $name;
        push @passwd, $have = $passwd{$name} = { name => $name, uid => $uid };
        $made{"user $name"} = 1;
    }
    next unless $made{"user $name"};    # the host's own user keeps what it has
    $have->{pw}          = "x";
    $have->{gid}         = $gid;
    $have->{description} = $want->{description} // "";
    $have->{home}        = $want->{home} // "/var/empty";
    $have->{shell}       = $want->{shell} // "/usr/sbin/nologin";
    if (!$shadow{$name}) {
        push @shadow, $shadow{$name} = { name => $name, line => "$name:" . ($want->{hash} // "!") . ":1::::::" };
    }
    next unless defined $want->{homeMode} && !$dry;
    if (!-e $have->{home}) {
        mkdir $have->{home} or print STDERR "warning: cannot make $have->{home}: $!\n";
    }
    chown $have->{uid}, $gid, $have->{home};
    chmod oct($want->{homeMode}), $have->{home};
}

@shadow = grep { $passwd{ $_->{name} } } @shadow;

replaceFile("/etc/group", 0644, map { "$_->{name}:x:$_->{gid}:$_->{members}" } @group);
replaceFile("/etc/passwd", 0644, map { my $u = $_; join(":", map { $u->{$_} // "" } qw(name pw uid gid description home shell)) } @passwd);
replaceFile("/etc/shadow", 0640, map { $_->{line} } @shadow);
replaceFile("$state/declarative", 0644, grep { $wanted{$_} } sort keys %made);
replaceFile("$state/ids", 0644, map { "$_\t$lastId{$_}" } sort keys %lastId);
