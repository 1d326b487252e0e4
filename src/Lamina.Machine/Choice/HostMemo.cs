// A number that was measured on this host, kept in the user's cache with what it holds for, so that it is measured once for
// each boot of the host. Where it cannot be kept, or what is kept is not readable, it is measured again.
using System.Globalization;

namespace Lamina.Choice;

/// <summary>One kept number.</summary>
/// <param name="file">Where it is kept; null for nowhere.</param>
/// <param name="identity">One line: what must be the same for it to hold.</param>
internal sealed class HostMemo(string? file, string identity)
{
    /// <summary>What stands for this boot of the host; for no other reader where the host does not tell.</summary>
    internal static string ReadBoot()
    {
        try
        {
            return File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();
        }
        catch (Exception absent) when (absent is IOException or UnauthorizedAccessException)
        {
            return $"{Guid.NewGuid()}";
        }
    }

    /// <summary>What was kept; null for nothing that holds.</summary>
    internal double? Recall()
    {
        try
        {
            return file is not null && File.ReadAllLines(file) is [var first, var second] && first == identity
                && double.TryParse(second, NumberStyles.Float, CultureInfo.InvariantCulture, out var measured) && measured >= 0 ? measured : null;
        }
        catch (Exception absent) when (absent is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Keeps a number, not negative, without its fraction. Written aside and renamed, so that another run never reads half of it.</summary>
    internal void Keep(double measured)
    {
        if (file is null) return;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            var aside = $"{file}.{Environment.ProcessId}";
            File.WriteAllText(aside, string.Create(CultureInfo.InvariantCulture, $"{identity}\n{measured:0}\n"));
            File.Move(aside, file, overwrite: true);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            // The next run measures again.
        }
    }
}
