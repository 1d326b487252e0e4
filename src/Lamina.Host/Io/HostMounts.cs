// Folders in which programs that were killed may have left something mounted: whoever removes such a folder with all that is in it would
// remove what is in the host's own folders, too, where those are mounted there. Source: proc_pid_mountinfo(5).
using System.Text;
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>What is mounted below a folder.</summary>
public static class HostMounts
{
    private const string Table = "/proc/self/mountinfo";

    // The place of a mount, among the words of a line.
    private const int Place = 4;

    /// <summary>Removes a folder with all that is in it, and nothing that is mounted there, which is unmounted first.</summary>
    /// <exception cref="HostException">Something is mounted there and cannot be unmounted; nothing was removed.</exception>
    /// <exception cref="IOException">Something of it cannot be removed.</exception>
    public static void RemoveFolder(string path)
    {
        // The last ones first, which may lie within others.
        foreach (var place in Below(path).Reverse())
            if (Libc.umount2(place, (int)Libc.MNT_DETACH) != 0) throw HostException.FromErrno($"cannot remove {path}, since something is mounted at {place} that cannot be unmounted ('umount {place}')");
        if (Below(path).FirstOrDefault() is { } left) throw new HostException($"cannot remove {path}, since something is mounted at {left}; unmount it first ('umount {left}')");
        Directory.Delete(path, recursive: true);
    }

    /// <summary>The places below a folder, and itself, at which something is mounted, in the order in which that was done.</summary>
    internal static IReadOnlyList<string> Below(string path)
    {
        var real = HostFiles.RealPath(path) ?? Path.GetFullPath(path);
        return [.. File.ReadLines(Table).Select(line => line.Split(' ')).Where(words => words.Length > Place).Select(words => Plain(words[Place])).Where(place => place == real || place.StartsWith(real + "/", StringComparison.Ordinal))];
    }

    // Blanks, tabs, line feeds and backslashes stand there as three octal digits.
    private static string Plain(string word)
    {
        if (!word.Contains('\\', StringComparison.Ordinal)) return word;
        var text = new StringBuilder();
        for (var i = 0; i < word.Length; i++)
        {
            if (word[i] == '\\' && i + 3 < word.Length)
            {
                text.Append((char)(((word[i + 1] - '0') << 6) | ((word[i + 2] - '0') << 3) | (word[i + 3] - '0')));
                i += 3;
            }
            else text.Append(word[i]);
        }
        return text.ToString();
    }
}
