// The keys that are the VMM's and not the guest's: Ctrl-A, then one more.
namespace Lamina.Backends.Char;

/// <summary>What the user asked the VMM for.</summary>
public enum EscapeRequest
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>To end the machine.</summary>
    Quit,

    /// <summary>To leave the console, and the machine to itself.</summary>
    Leave,

    /// <summary>To be told of the keys.</summary>
    Help,
}

/// <summary>Tells the VMM's keys from the guest's.</summary>
public sealed class EscapeFilter
{
    internal const byte Escape = 1;

    private bool _escaped;

    /// <summary>Takes the VMM's keys out of what was typed.</summary>
    /// <param name="typed">What was typed; overwritten from its start with what is the guest's.</param>
    /// <param name="length">How much of it is the guest's.</param>
    /// <returns>The last request among it.</returns>
    public EscapeRequest Filter(Span<byte> typed, out int length)
    {
        var request = EscapeRequest.None;
        length = 0;
        foreach (var key in typed)
        {
            if (!_escaped)
            {
                _escaped = key == Escape;
                if (!_escaped) typed[length++] = key;
                continue;
            }
            _escaped = false;
            switch (key)
            {
                case Escape:
                    typed[length++] = key;
                    break;
                case (byte)'x' or (byte)'X':
                    request = EscapeRequest.Quit;
                    break;
                case (byte)'d' or (byte)'D':
                    request = EscapeRequest.Leave;
                    break;
                case (byte)'h' or (byte)'H' or (byte)'?':
                    request = EscapeRequest.Help;
                    break;
            }
        }
        return request;
    }
}
