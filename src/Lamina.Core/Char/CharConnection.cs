// What some character backends know beyond the contract every one of them fulfils: whether somebody is at the other end.
// Devices that can tell their guest (a console port's "open" message, a modem's carrier) look for it; others need not.
namespace Lamina.Core.Char;

/// <summary>Implemented beside <see cref="ICharBackend"/> by backends whose peer comes and goes.</summary>
public interface ICharConnection
{
    /// <summary>Whether a peer is connected now.</summary>
    bool IsConnected { get; }

    /// <summary>Raised on a backend thread, with no lock held, after <see cref="IsConnected"/> changed.</summary>
    event Action? ConnectionChanged;
}
