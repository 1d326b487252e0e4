// The program's exit codes: docs/exit-codes.md and "lamina run --help" say the same. A code once given keeps its meaning.
namespace Lamina.Cli;

/// <summary>Exit codes. Those above 128 are 128 + the number of a signal, as shells report it.</summary>
internal static class ExitCode
{
    /// <summary>The guest powered off, or was reset with --no-reboot; any other verb did what it was asked.</summary>
    public const int Success = 0;

    /// <summary>The host lacks or refuses something: a package source, a writable cache, memory.</summary>
    public const int Host = 1;

    /// <summary>The command line, or a file it names, cannot be used.</summary>
    public const int Usage = 2;

    /// <summary>A disk image that was checked is damaged.</summary>
    public const int DiskDamaged = 3;

    /// <summary>A disk image that was checked counts clusters that nothing uses, and has no other fault.</summary>
    public const int DiskLeaks = 4;

    /// <summary>A disk image that was checked was not closed, and has no other fault.</summary>
    public const int DiskNotClosed = 5;

    /// <summary>The guest's kernel reported a panic.</summary>
    public const int GuestPanic = 10;

    /// <summary>The guest's CPU gave up (triple fault) with --no-reboot.</summary>
    public const int TripleFault = 11;

    /// <summary>A fault of this program. sysexits.h: EX_SOFTWARE.</summary>
    public const int Internal = 70;

    /// <summary>--timeout passed; as timeout(1) reports it.</summary>
    public const int TimedOut = 124;

    /// <summary>SIGHUP: the terminal was closed.</summary>
    public const int HungUp = 129;

    /// <summary>The user ended it: Ctrl-A X, or SIGINT.</summary>
    public const int Interrupted = 130;

    /// <summary>SIGTERM.</summary>
    public const int Terminated = 143;
}
