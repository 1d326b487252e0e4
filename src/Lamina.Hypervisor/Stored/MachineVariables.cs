// What a machine's firmware keeps of its variables (MachineHome.Variables), for whoever copies a machine, or puts it back to what it was. The machine's process
// writes the file, in a folder where it may leave anything: no link is followed, and nothing is taken that no flash chip has.
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Stored;

/// <summary>Copies firmware's variables.</summary>
internal static class MachineVariables
{
    /// <summary>The most bytes that they have: a flash chip's.</summary>
    internal const int Longest = 16 << 20;

    /// <summary>What a machine has of them; null where it has none: it did not run yet, or its firmware keeps none.</summary>
    /// <exception cref="MachineException">What lies there is none, or cannot be read.</exception>
    internal static byte[]? Read(MachineHome home) => ReadFile(home.Variables);

    /// <summary>Gives a machine, which does not run, those of another one, where that has some.</summary>
    /// <exception cref="IOException">It cannot be done.</exception>
    internal static void Copy(MachineHome from, MachineHome to)
    {
        if (Read(from) is { } variables) Write(to, variables);
    }

    /// <summary>Keeps those that a machine has in a file beside what else is kept of it.</summary>
    /// <exception cref="IOException">It cannot be done.</exception>
    internal static void Keep(MachineHome home, string file)
    {
        if (Read(home) is { } variables) HostFiles.Replace(file, variables);
    }

    /// <summary>Gives a machine, which does not run, those that were kept in a file; where there is none it has none, and begins with its firmware's own.</summary>
    /// <exception cref="IOException">It cannot be done.</exception>
    internal static void PutBack(MachineHome home, string file)
    {
        if (ReadFile(file) is { } variables) Write(home, variables);
        else if (Directory.Exists(home.Work)) _ = HostFiles.TryUnlink(home.Variables);
    }

    private static byte[]? ReadFile(string path)
    {
        try
        {
            return NamedFile.ReadFile(path, Longest);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (HostException wrong)
        {
            throw new MachineException(MachineError.File, $"firmware's variables cannot be read: {wrong.Message}; remove what lies there, which no machine left", wrong);
        }
    }

    private static void Write(MachineHome home, ReadOnlySpan<byte> variables)
    {
        Directory.CreateDirectory(home.Work, MachineStore.Private);
        HostFiles.Replace(home.Variables, variables, durable: true);
    }
}
