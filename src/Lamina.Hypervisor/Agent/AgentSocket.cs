// The way to a guest's agent through the machine's socket device: the Unix socket that the device has on the host. A guest that is still
// starting has no agent yet, so it is tried again until it is there or the time is over.
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Lamina.Hypervisor.Agent;

/// <summary>Connects to agents.</summary>
public static class AgentSocket
{
    private const string Accepted = "OK ";

    // "OK " and a port of at most ten digits.
    private const int LongestAnswer = 14;

    /// <summary>How often is looked. Who has waited long waits a little longer: looking is work for the machine's process, and takes from the guest's share.</summary>
    /// <param name="Least">How long it is at least until the next time.</param>
    /// <param name="Part">It is this part of what was waited by then, at least.</param>
    internal readonly record struct Pace(TimeSpan Least, int Part)
    {
        /// <summary>Somebody waits for it. A guest starts in about half a second.</summary>
        internal static readonly Pace Hurried = new(TimeSpan.FromMilliseconds(5), 32);

        /// <summary>Nobody does. Many guests have no agent, and a machine at rest costs next to nothing.</summary>
        internal static readonly Pace Unhurried = new(TimeSpan.FromMilliseconds(100), 8);

        internal TimeSpan After(TimeSpan waited) => waited / Part > Least ? waited / Part : Least;
    }

    /// <summary>Connects to an agent as soon as it listens.</summary>
    /// <param name="path">The Unix socket of the machine's socket device.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="hasEnded">Whether the machine has ended, so that there is nothing to wait for.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The stream; null where there is no agent in time, or the machine has ended.</returns>
    public static Task<NetworkStream?> TryConnectAsync(string path, TimeSpan timeout, Func<bool> hasEnded, CancellationToken cancellationToken = default) =>
        TryConnectAsync(path, timeout, Pace.Hurried, hasEnded, cancellationToken);

    /// <summary>The same at another pace.</summary>
    /// <param name="path">The Unix socket of the machine's socket device.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="pace">How often it is tried.</param>
    /// <param name="hasEnded">Whether the machine has ended.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal static async Task<NetworkStream?> TryConnectAsync(string path, TimeSpan timeout, Pace pace, Func<bool> hasEnded, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(hasEnded);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(timeout);
        var begin = Stopwatch.GetTimestamp();
        try
        {
            while (!hasEnded())
            {
                if (await TryOnceAsync(path, patience.Token).ConfigureAwait(false) is { } stream) return stream;
                await Task.Delay(pace.After(Stopwatch.GetElapsedTime(begin)), patience.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
        }
        return null;
    }

    /// <summary>Connects to an agent that listens by now.</summary>
    /// <returns>The stream; null where there is none.</returns>
    internal static async Task<NetworkStream?> TryOnceAsync(string path, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
            await socket.SendAsync(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"CONNECT {AgentSpec.Port}\n")), cancellationToken).ConfigureAwait(false);
            if (await IsAcceptedAsync(socket, cancellationToken).ConfigureAwait(false)) return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException)
        {
            // Nobody listens yet, or not any more.
        }
        catch
        {
            socket.Dispose();
            throw;
        }
        socket.Dispose();
        return null;
    }

    // Byte by byte: what stands behind the line is the agent's.
    private static async Task<bool> IsAcceptedAsync(Socket socket, CancellationToken cancellationToken)
    {
        var line = new byte[LongestAnswer];
        for (var length = 0; length < line.Length; length++)
        {
            if (await socket.ReceiveAsync(line.AsMemory(length, 1), cancellationToken).ConfigureAwait(false) == 0) return false;
            if (line[length] == '\n') return Encoding.ASCII.GetString(line, 0, length).StartsWith(Accepted, StringComparison.Ordinal);
        }
        return false;
    }
}
