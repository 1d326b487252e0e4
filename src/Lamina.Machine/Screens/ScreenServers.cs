// A definition's place for the screen, opened.
using System.Net.Sockets;
using Lamina.Backends.Display;
using Lamina.Boards;
using Lamina.Boot;
using Lamina.Core.Display;
using Lamina.Core.Input;
using Lamina.Core.Logging;

namespace Lamina.Screens;

/// <summary>Opens places at which screens are served.</summary>
internal static class ScreenServers
{
    private const int LongestPasswordFile = 4096;

    /// <summary>Listens.</summary>
    /// <param name="wanted">Where.</param>
    /// <param name="name">The machine's name, or null.</param>
    /// <param name="screen">What is shown.</param>
    /// <param name="input">What whoever looks at it operates; null: nothing.</param>
    /// <param name="log">Takes what there is to say.</param>
    /// <exception cref="MachineException">The password's file has none, or the certificate's folder.</exception>
    /// <exception cref="IOException">The place cannot be had.</exception>
    internal static VncServer Open(ScreenServer wanted, string? name, IScreen screen, BoardInput? input, ILog? log)
    {
        return new VncServer(screen, new VncOptions
        {
            Name = name is null ? "Lamina" : $"Lamina: {name}",
            Address = wanted.Path is { } path ? new UnixDomainSocketEndPoint(Path.GetFullPath(path)) : wanted.Address!,
            WebSocket = wanted.WebSocket,
            WebSocketOrigin = wanted.Origin,
            Certificate = wanted.TlsFiles is [var certificate, var key] ? ScreenCertificate.Read(certificate, key) : null,
            Password = wanted.PasswordFile is { } file ? ReadPassword(file) : (ReadOnlyMemory<byte>?)null,
            Keyboard = input?.Keyboard,
            Pointer = input is null ? null : new MousePointer(input.Pointer),
            Log = log,
        });
    }

    private static byte[] ReadPassword(string path)
    {
        using var file = BootFile.Open("password file", path, LongestPasswordFile, "is no file with a password");
        var bytes = file.Head((int)file.Length);
        var end = bytes.AsSpan().IndexOfAny((byte)'\n', (byte)'\r');
        var password = end < 0 ? bytes : bytes[..end];
        return password.Length > 0 ? password : throw new MachineException(MachineError.File, $"the first line of {path} is empty; write the password there");
    }
}
