// Lines on standard error: what the program says of itself, beside what the guest says on standard output. Written
// without System.Console, whose first use sends the terminal escape sequences and takes over its settings.
using System.Text;
using Lamina.Host.Io;

namespace Lamina.Cli.Output;

/// <summary>Standard error.</summary>
internal static class Stderr
{
    /// <summary>Writes a line. Where nobody reads it any more (a closed terminal or pipe) it is dropped.</summary>
    public static void Line(string text)
    {
        ReadOnlySpan<byte> left = Encoding.UTF8.GetBytes(text + "\n");
        while (!left.IsEmpty && HostIo.Write(HostIo.Error, left) is > 0 and var written) left = left[written..];
    }

    /// <summary>Writes a message with the program's name before it.</summary>
    /// <param name="sentence">The message. Words of a guest or of a machine's process may be in it, which are not to command the terminal.</param>
    public static void Say(string sentence) => Line($"lamina: {string.Concat(sentence.Select(letter => char.IsControl(letter) && letter is not ('\n' or '\t') ? '?' : letter))}");
}
