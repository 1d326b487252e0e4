// A terminal in raw mode, and back: on Dispose, at the process's exit, on an unhandled exception, on SIGINT, SIGTERM,
// SIGHUP and SIGQUIT, and around a stop (SIGTSTP … SIGCONT). What no process can catch (SIGKILL, a crash in native code)
// leaves the terminal raw; the launcher puts it back then.
// This neither reads nor writes: whoever owns it does. A signal's usual effect is left to happen: whoever wants an
// orderly end registers for it too and cancels.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Terminals;

/// <summary>A terminal's mode and size.</summary>
public sealed unsafe class Terminal : IDisposable
{
    private static readonly PosixSignal[] Ends = [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT];

    private readonly int _descriptor;
    private readonly Lock _gate = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private Libc.Termios _cooked;
    private bool _wantsRaw;
    private bool _isRaw;
    private bool _disposed;

    private Terminal(int descriptor)
    {
        _descriptor = descriptor;
        foreach (var signal in Ends) _registrations.Add(PosixSignalRegistration.Create(signal, _ => LeaveRaw()));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTSTP, Stop));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGCONT, Continue));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => Resized?.Invoke()));
        AppDomain.CurrentDomain.ProcessExit += OnExit;
        AppDomain.CurrentDomain.UnhandledException += OnException;
    }

    /// <summary>Raised on a thread of its own when the window's size may have changed.</summary>
    public event Action? Resized;

    /// <summary>Whether the terminal is in raw mode now.</summary>
    public bool IsRaw
    {
        get
        {
            lock (_gate) return _isRaw;
        }
    }

    /// <summary>The window's size in characters; zeros where the terminal does not know.</summary>
    public (ushort Columns, ushort Rows) Size
    {
        get
        {
            Libc.WinSize size;
            return Libc.ioctl(_descriptor, Libc.TIOCGWINSZ, &size) == 0 ? (size.ws_col, size.ws_row) : default;
        }
    }

    /// <summary>The terminal behind a descriptor, left in the mode it is in; null where none is.</summary>
    /// <param name="descriptor">A descriptor, usually standard input; it stays the caller's.</param>
    public static Terminal? TryOpen(int descriptor) => Libc.isatty(descriptor) == 1 ? new Terminal(descriptor) : null;

    /// <summary>Has every key and every byte of output pass unchanged, until <see cref="LeaveRaw"/> or the process's end.</summary>
    public void EnterRaw()
    {
        lock (_gate)
        {
            if (_disposed) return;
            _wantsRaw = true;
            SetRaw();
        }
    }

    /// <summary>Puts the mode back that was found.</summary>
    public void LeaveRaw()
    {
        lock (_gate)
        {
            _wantsRaw = false;
            SetCooked();
        }
    }

    /// <summary>Puts the mode back and forgets the terminal.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
        }
        LeaveRaw();
        AppDomain.CurrentDomain.ProcessExit -= OnExit;
        AppDomain.CurrentDomain.UnhandledException -= OnException;
        foreach (var registration in _registrations) registration.Dispose();
    }

    private void OnExit(object? sender, EventArgs e) => LeaveRaw();

    private void OnException(object sender, UnhandledExceptionEventArgs e) => LeaveRaw();

    // SIGTSTP itself is swallowed and SIGSTOP sent in its stead, once the terminal is as the shell expects it.
    private void Stop(PosixSignalContext context)
    {
        context.Cancel = true;
        lock (_gate) SetCooked();
        _ = Libc.kill(Libc.getpid(), Libc.SIGSTOP);
    }

    private void Continue(PosixSignalContext context)
    {
        lock (_gate)
        {
            // The runtime would put back the mode that it found at its start.
            context.Cancel = _wantsRaw;
            if (_isRaw) ApplyRaw(_cooked);
            else if (_wantsRaw) SetRaw();
        }
        Resized?.Invoke();
    }

    private void SetRaw()
    {
        if (_isRaw || !IsOurs()) return;
        Libc.Termios found;
        if (Libc.tcgetattr(_descriptor, &found) != 0 || !ApplyRaw(found)) return;
        _cooked = found;
        _isRaw = true;
    }

    private bool ApplyRaw(Libc.Termios mode)
    {
        Libc.cfmakeraw(&mode);
        return IsOurs() && Libc.tcsetattr(_descriptor, Libc.TCSANOW, &mode) == 0;
    }

    private void SetCooked()
    {
        if (!_isRaw || !IsOurs()) return;
        var cooked = _cooked;
        _ = Libc.tcsetattr(_descriptor, Libc.TCSANOW, &cooked);
        _isRaw = false;
    }

    // A process in the background that touches its terminal's mode is stopped for it; a terminal without job control is free.
    private bool IsOurs()
    {
        var foreground = Libc.tcgetpgrp(_descriptor);
        return foreground <= 0 || foreground == Libc.getpgrp();
    }
}
