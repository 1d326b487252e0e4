// A Perl program that uses files as nobody sensible does, without any module, and prints what came of it. It runs on a folder of the
// host's and, with the host's own perl, in a guest on a shared one: the two have to print the same.
namespace Lamina.Tests.Boot.Linux;

internal static class ShareScript
{
    /// <summary>The program; its argument is an empty folder.</summary>
    internal const string Text = """
        umask 0;
        chdir $ARGV[0] or die "chdir: $!";
        $| = 1;

        # What a call gave: its result, or the error number.
        sub show { my ($what, $result) = @_; my $error = $! + 0; my $ok = defined $result && $result ne "-1" && $result; print "$what: ", ($ok ? "ok" : "error $error"), "\n"; return $ok; }
        sub value { my ($what, @values) = @_; print "$what: @values\n"; }
        sub put { my ($name, $text) = @_; open my $file, '>', $name or die "$name: $!"; print $file $text; close $file or die "$name: $!"; }
        sub get { my ($name) = @_; open my $file, '<', $name or return "error " . ($! + 0); local $/; return scalar <$file>; }
        sub entries { my ($folder) = @_; opendir my $open, $folder or return "error " . ($! + 0); return join ' ', sort grep { !/^\.\.?$/ } readdir $open; }

        # A file without a name, in each of the ways in which it loses it.
        for my $way ('unlink', 'rename') {
            put 'status', 'old';
            open my $file, '+<', 'status' or die;
            if ($way eq 'unlink') { show "$way", unlink 'status' }
            else { put 'status-new', 'newer'; show "$way", rename 'status-new', 'status' }
            value "$way fstat", (stat $file)[3, 7];
            show "$way fchmod", chmod 0600, $file;
            show "$way fchown", chown -1, -1, $file;
            show "$way futimens", utime 1_000_000_000, 1_000_000_000, $file;
            value "$way time", (stat $file)[9];
            show "$way ftruncate", truncate $file, 2;
            value "$way fstat again", map { sprintf '%o', $_ } (stat $file)[2, 3, 7];
            value "$way content", scalar <$file>;
            close $file;
            value "$way name", get 'status';
            unlink 'status';
        }

        # A working folder that is gone.
        mkdir 'work'; chdir 'work'; show 'rmdir of the working folder', rmdir '../work';
        show 'opendir of it', opendir my $gone, '.';
        value 'entries of it', entries '.';
        show 'stat of it', stat '.';
        show 'open in it', open my $never, '>', 'new';
        chdir $ARGV[0];

        # Two names of one file.
        put 'first', 'text';
        show 'link', link 'first', 'second';
        value 'same', (stat 'first')[1] == (stat 'second')[1] ? 'yes' : 'no', (stat 'first')[3];
        open my $first, '+<', 'first' or die; open my $second, '+<', 'second' or die;
        sysread $second, my $before, 100;
        my $map = syscall 9, 0, 4096, 3, 1, fileno $second, 0;
        syswrite $first, 'TEXT and more';
        sysseek $second, 0, 0; sysread $second, my $after, 100;
        value 'read', $before, $after, (stat 'second')[7];
        value 'mapped', unpack 'P13', pack 'Q', $map;
        show 'flock', flock $first, 2;
        show 'flock of the other', flock $second, 2 | 4;
        unlink 'first'; value 'after one is gone', get('second'), (stat $first)[3];
        close $first; close $second; unlink 'second';

        # Names as long as can be, and paths longer than any call takes.
        for my $length (254, 255, 256, 4095, 4096) {
            my $name = 'n' x $length;
            show "create $length", open my $file, '>', $name;
            show "lstat $length", lstat $name;
            show "unlink $length", unlink $name;
            show "mkdir $length", mkdir $name;
            show "rmdir $length", rmdir $name;
        }
        my $level = 'd' x 200;
        for (1 .. 40) { mkdir $level or die "mkdir: $!"; chdir $level or die "chdir: $!" }
        put 'deep', 'content';
        value 'deep', get('deep'), entries '.';
        show 'chmod deep', chmod 0600, 'deep';
        show 'rename deep', rename 'deep', 'deeper';
        show 'truncate deep', truncate 'deeper', 3;
        value 'deeper', map { sprintf '%o', $_ } (stat 'deeper')[2, 7];
        unlink 'deeper';
        for (1 .. 40) { chdir '..' or die "up: $!"; rmdir $level or die "rmdir: $!" }
        chdir $ARGV[0];

        # Pipes, sockets, files that never had a name.
        show 'mkfifo', !syscall 133, my $pipe = 'pipe', 010666, 0;
        open my $fifo, '+<', 'pipe' or die; syswrite $fifo, 'through'; sysread $fifo, my $through, 7;
        value 'pipe', $through, sprintf '%o', (stat 'pipe')[2];
        close $fifo; unlink 'pipe';
        socket my $listener, 1, 1, 0 or die; socket my $client, 1, 1, 0 or die;
        my $place = pack 'S a*', 1, "socket\0";
        show 'bind', bind $listener, $place; show 'listen', listen $listener, 1; show 'connect', connect $client, $place;
        show 'bind again', do { socket my $other, 1, 1, 0; bind $other, $place };
        value 'socket', sprintf '%o', (stat 'socket')[2] & 0170000; show 'unlink socket', unlink 'socket';
        my $nameless = syscall 2, my $here = '.', 0x410002, 0640;
        if ($nameless >= 0) {
            open my $file, '+<&=', $nameless; syswrite $file, 'tmp';
            show 'linkat', !syscall 265, -100, my $self = "/proc/self/fd/$nameless", -100, my $named = 'named', 0x400;
            value 'named', get('named'), map { sprintf '%o', $_ } (stat 'named')[2, 3]; unlink 'named';
        } else { show 'O_TMPFILE', 0 }
        my $attribute = 'user.name';
        put 'file', 'x'; my ($file, $text, $room) = ('file', 'value', "\0" x 100);
        show 'setxattr', !syscall 188, $file, $attribute, $text, 5, 0;
        value 'getxattr', syscall(191, $file, $attribute, $room, 100), substr $room, 0, 5;
        value 'listxattr', syscall(194, $file, $room, 100), substr $room, 0, 9;
        show 'getxattr small', syscall(191, $file, $attribute, $room, 2) >= 0;
        show 'removexattr', !syscall 197, $file, $attribute;
        show 'removexattr again', !syscall 197, $file, $attribute;
        unlink 'file';
        mkdir 'open', 01777; value 'permissions', sprintf '%o', (stat 'open')[2]; rmdir 'open';

        # Every call with every name.
        my @names = ('x', '', '.', '..', 'd', 'd/', 'd/.', 'd/..', 'd/x', 'full', 'f', 'f/', 'f/x', 'l', 'l/', 'ld', 'ld/', 'loop', 'loop/x', 'p', 'missing/x', 'n' x 256, 'n' x 4096, "\xff\n");
        sub clear { system 'rm', '-rf', 'room'; mkdir 'room' or die "room: $!"; chdir 'room'; mkdir 'd'; mkdir 'full'; put 'full/inside', ''; put 'f', 'file'; symlink 'nowhere', 'l'; symlink 'd', 'ld'; symlink 'loop', 'loop'; syscall 133, my $p = 'p', 010600, 0; }
        my $NONBLOCK = 04000;
        my %one = (
            stat => sub { stat $_[0] }, lstat => sub { lstat $_[0] }, readlink => sub { readlink $_[0] }, opendir => sub { opendir my $open, $_[0] },
            (map { my $flags = $_; (sprintf('open %o', $flags) => sub { sysopen my $open, $_[0], $flags | $NONBLOCK, 0644 }) } 0, 1, 2, 0100, 0101, 0300, 01001, 0200000, 0400000, 0200101),
            truncate => sub { truncate $_[0], 3 }, 'truncate -1' => sub { !syscall 76, my $name = $_[0], -1 }, chmod => sub { chmod 0755, $_[0] }, utime => sub { utime 1, 2, $_[0] },
            mkdir => sub { mkdir $_[0] }, mknod => sub { !syscall 133, my $name = $_[0], 0100644, 0 }, mkfifo => sub { !syscall 133, my $name = $_[0], 010644, 0 },
            'symlink to' => sub { symlink $_[0], 'new link' }, 'symlink at' => sub { symlink 'target', $_[0] },
            listxattr => sub { syscall(194, my $name = $_[0], my $room = "\0" x 10, 10) >= 0 }, getxattr => sub { syscall(191, my $name = $_[0], my $a = 'user.a', my $room = "\0", 1) >= 0 },
            setxattr => sub { !syscall 188, my $name = $_[0], my $a = 'user.a', my $v = 'v', 1, 0 },
            access => sub { -e $_[0] }, unlink => sub { !syscall 87, my $name = $_[0] }, rmdir => sub { rmdir $_[0] },
        );
        for my $call (sort keys %one) {
            clear;
            for my $name (@names) { my $shown = length $name > 20 ? length($name) . ' bytes' : $name; show "$call '$shown'", scalar $one{$call}->($name) }
            value "left by $call", entries '.'; chdir $ARGV[0];
        }
        my %two = (
            rename => sub { rename $_[0], $_[1] }, link => sub { link $_[0], $_[1] },
            'rename without replacing' => sub { !syscall 316, -100, my $from = $_[0], -100, my $to = $_[1], 1 }, exchange => sub { !syscall 316, -100, my $from = $_[0], -100, my $to = $_[1], 2 },
            'rename 3' => sub { !syscall 316, -100, my $from = $_[0], -100, my $to = $_[1], 3 },
        );
        my @some = ('x', '', '.', 'd', 'd/', 'd/x', 'full', 'f', 'f/', 'l', 'ld', 'missing/x', 'n' x 256);
        for my $call (sort keys %two) {
            for my $from (@some) {
                clear;
                for my $to (@some) { show join(' ', $call, map { length > 20 ? length() . ' bytes' : "'$_'" } $from, $to), scalar $two{$call}->($from, $to) }
                value "left by $call", entries('.'), entries('d'); chdir $ARGV[0];
            }
        }
        system 'rm', '-rf', 'room';
        value 'left', entries '.';
        """;
}
