// A command for a guest, as data, and its end.
using System.Globalization;
using System.Text;

namespace Lamina.Hypervisor.Agent;

/// <summary>What is to run in a guest.</summary>
public sealed record AgentCommand
{
    /// <summary>The program, found by the guest's PATH, and its arguments; none: the user's shell as at a login.</summary>
    public IReadOnlyList<string> Words { get; init; } = [];

    /// <summary>Variables of its environment, as NAME=VALUE, beside those that every command has.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    /// <summary>The guest's user; null for root.</summary>
    public string? User { get; init; }

    /// <summary>The folder that it works in; null for the user's own.</summary>
    public string? Folder { get; init; }

    /// <summary>The size of its terminal in characters; null: it has none, and its errors are a stream of their own.</summary>
    public (ushort Rows, ushort Columns)? Terminal { get; init; }

    /// <summary>The request, a text behind another, each with its meaning in front and a zero behind.</summary>
    /// <exception cref="AgentException">It is longer than a request can be, or has what no guest takes.</exception>
    internal byte[] ToPayload()
    {
        var text = new MemoryStream();
        foreach (var word in Words) Add('a', word);
        foreach (var variable in Environment)
            Add('e', variable.IndexOf('=', StringComparison.Ordinal) > 0 ? variable : throw new AgentException($"'{variable}' is no variable; write it like NAME=VALUE"));
        if (User is { } user) Add('u', user);
        if (Folder is { } folder) Add('d', folder);
        if (Terminal is var (rows, columns)) Add('t', string.Create(CultureInfo.InvariantCulture, $"{rows}x{columns}"));
        return text.Length <= AgentSpec.MostPayload ? text.ToArray() : throw new AgentException($"a command with its environment has at most {AgentSpec.MostPayload} bytes, and this one has {text.Length}; put what is long into a file or into its input");

        void Add(char meaning, string value)
        {
            if (value.Contains('\0', StringComparison.Ordinal)) throw new AgentException("a command and its environment cannot hold a zero byte");
            text.WriteByte((byte)meaning);
            text.Write(Encoding.UTF8.GetBytes(value));
            text.WriteByte(0);
        }
    }
}

/// <summary>How a command in a guest ended.</summary>
/// <param name="IsSignal">Whether a signal ended it.</param>
/// <param name="Value">Its exit code, or the signal's number.</param>
public readonly record struct AgentEnd(bool IsSignal, int Value)
{
    /// <summary>The exit code as shells have it: 128 + n where signal n ended it.</summary>
    public int ExitCode => IsSignal ? 128 + Value : Value;
}
