// Writes lines to standard error without the encodings and terminal settings of System.Console: setting those up costs
// more than all the rest of the command line, and a run that goes well says one line.
using System.Text;

namespace Lamina.Cli.Output;

/// <summary>Standard error.</summary>
internal static class Stderr
{
    /// <summary>Writes a line. Where nobody reads it any more (a closed terminal or pipe) it is dropped.</summary>
    public static void Line(string text)
    {
        try
        {
            using var stream = Console.OpenStandardError();
            stream.Write(Encoding.UTF8.GetBytes(text + "\n"));
        }
        catch (IOException)
        {
            // Nobody is left to be told.
        }
    }

    /// <summary>Writes a message with the program's name before it.</summary>
    public static void Say(string sentence) => Line($"lamina: {sentence}");
}
