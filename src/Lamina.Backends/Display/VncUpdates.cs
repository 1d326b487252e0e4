// What goes out to one viewer: the picture, as far as it is other than what was sent, when the viewer asks for it; and what the two have
// agreed on beside. While a viewer waits for a change the screen is asked now and then whether there is any, more seldom the longer there was none.
using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.Display;
using Lamina.Core.Input;

namespace Lamina.Backends.Display;

/// <summary>Sends what is shown.</summary>
internal sealed class VncUpdates : IDisposable
{
    private static readonly TimeSpan Soonest = TimeSpan.FromMilliseconds(33), Latest = TimeSpan.FromMilliseconds(150);

    private readonly Lock _gate = new();
    private readonly ViewerLink _link;
    private readonly IScreen _screen;
    private readonly VncOptions _options;
    private readonly PictureEncoder _encoder = new();
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Queue<byte[]> _messages = [];
    private readonly ArrayBufferWriter<byte> _output = new(64 << 10);

    // What the viewer has said, with the gate.
    private PixelFormat _format = PixelFormat.Own;
    private HashSet<int> _encodings = [];
    private int _encoding = RfbSpec.Raw;
    private int? _quality;
    private bool _isAsked, _isWhole, _isContinuous, _tellsSize, _tellsKeys, _tellsName, _refusesResize;
    private KeyboardLights? _lamps;

    // What it has been sent.
    private ScreenPicture? _sent, _spare;
    private (int Width, int Height) _size;
    private long _updates;

    internal VncUpdates(ViewerLink link, IScreen screen, VncOptions options) => (_link, _screen, _options) = (link, screen, options);

    internal PixelFormat Format
    {
        set
        {
            lock (_gate) (_format, _isWhole) = (value, true);
        }
    }

    /// <summary>The picture's size as the viewer knows it.</summary>
    internal (int Width, int Height) Size
    {
        get
        {
            lock (_gate) return _size;
        }
    }

    internal long Sent => Volatile.Read(ref _updates);

    /// <inheritdoc/>
    public void Dispose()
    {
        _encoder.Dispose();
        _wake.Dispose();
    }

    /// <summary>Sends ServerInit.</summary>
    internal async Task SendInitAsync(CancellationToken cancellationToken)
    {
        var picture = _screen.Look();
        lock (_gate) _size = (picture.Width, picture.Height);
        var name = Encoding.UTF8.GetBytes(_options.Name);
        var init = new byte[4 + RfbSpec.FormatLength + sizeof(uint) + name.Length];
        BinaryPrimitives.WriteUInt16BigEndian(init, (ushort)picture.Width);
        BinaryPrimitives.WriteUInt16BigEndian(init.AsSpan(2), (ushort)picture.Height);
        PixelFormat.Own.Write(init.AsSpan(4, RfbSpec.FormatLength));
        BinaryPrimitives.WriteInt32BigEndian(init.AsSpan(4 + RfbSpec.FormatLength), name.Length);
        name.CopyTo(init.AsSpan(4 + RfbSpec.FormatLength + sizeof(uint)));
        await _link.SendAsync(init, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The viewer says what it knows, what it likes best first.</summary>
    internal void SetEncodings(IReadOnlyList<int> encodings)
    {
        lock (_gate)
        {
            var before = _encodings;
            _encodings = [.. encodings];
            _encoding = encodings.Where(PictureEncoder.Knows).FirstOrDefault(RfbSpec.Raw);
            _quality = encodings.Select(encoding => encoding - RfbSpec.LowestQuality).Where(level => level is >= 0 and < JpegRectangle.Levels).Select(level => (int?)level).FirstOrDefault();
            if (IsNew(RfbSpec.DesktopName)) _tellsName = true;
            if (IsNew(RfbSpec.ExtendedDesktopSize)) _tellsSize = true;
            if (IsNew(RfbSpec.ExtendedKeys)) _tellsKeys = true;
            if (IsNew(RfbSpec.LedState)) _lamps = null;
            // Each side finds out so that the other one knows it.
            if (IsNew(RfbSpec.Fence)) Enqueue([RfbSpec.ServerFence, 0, 0, 0, 0x80, 0, 0, 0, 0]);
            if (IsNew(RfbSpec.ContinuousUpdates)) Enqueue([RfbSpec.EndOfContinuousUpdates]);

            bool IsNew(int encoding) => _encodings.Contains(encoding) && !before.Contains(encoding);
        }
        Wake();
    }

    /// <summary>The viewer asks for an update.</summary>
    internal void Request(bool isIncremental)
    {
        lock (_gate)
        {
            _isAsked = true;
            _isWhole |= !isIncremental;
        }
        Wake();
    }

    /// <summary>The viewer wants updates without asking for each, or no longer.</summary>
    internal void SetContinuous(bool on)
    {
        lock (_gate)
        {
            if (_isContinuous && !on) Enqueue([RfbSpec.EndOfContinuousUpdates]);
            _isContinuous = on;
        }
        Wake();
    }

    /// <summary>Answers a fence behind all that was asked for before it.</summary>
    internal void AnswerFence(uint flags, byte[] payload)
    {
        var answer = new byte[9 + payload.Length];
        answer[0] = RfbSpec.ServerFence;
        BinaryPrimitives.WriteUInt32BigEndian(answer.AsSpan(4), flags);
        answer[8] = (byte)payload.Length;
        payload.CopyTo(answer, 9);
        lock (_gate) Enqueue(answer);
        Wake();
    }

    /// <summary>The viewer wants another size of the screen, which is the guest's to choose.</summary>
    internal void RefuseResize()
    {
        lock (_gate) _refusesResize = _encodings.Contains(RfbSpec.ExtendedDesktopSize);
        Wake();
    }

    /// <summary>Sends to the end.</summary>
    internal async Task RunAsync(CancellationToken cancellationToken)
    {
        using var watch = _screen.Watch();
        var (pause, seen) = (Soonest, true);
        while (true)
        {
            bool waits;
            lock (_gate) waits = !_isAsked && !_isContinuous && _messages.Count == 0;
            // Somebody who looks at nothing costs nothing.
            if (waits) await _wake.WaitAsync(cancellationToken).ConfigureAwait(false);
            await SendMessagesAsync(cancellationToken).ConfigureAwait(false);
            seen |= watch.HasChanged();
            var (looked, sent) = await TrySendUpdateAsync(seen, cancellationToken).ConfigureAwait(false);
            seen &= !looked;
            pause = sent ? Soonest : pause * 1.1 < Latest ? pause * 1.1 : Latest;
            await _wake.WaitAsync(pause, cancellationToken).ConfigureAwait(false);
            // Not more often than anybody sees.
            if (pause == Soonest) await Task.Delay(Soonest / 4, cancellationToken).ConfigureAwait(false);
        }
    }

    private void Wake()
    {
        lock (_gate)
        {
            if (_wake.CurrentCount == 0) _wake.Release();
        }
    }

    // With the gate. There are viewers that ask and read no answers.
    private void Enqueue(byte[] message)
    {
        if (_messages.Count > RfbSpec.MostEncodings) throw new RfbException("it reads no answers");
        _messages.Enqueue(message);
    }

    private async Task SendMessagesAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            byte[]? message;
            lock (_gate) _messages.TryDequeue(out message);
            if (message is null) return;
            await _link.SendAsync(message, cancellationToken).ConfigureAwait(false);
        }
    }

    // Where the viewer asks for what has changed and nothing has, it waits.
    private async Task<(bool Looked, bool Sent)> TrySendUpdateAsync(bool hasChanged, CancellationToken cancellationToken)
    {
        PixelFormat format;
        HashSet<int> encodings;
        int encoding;
        int? quality;
        bool isWhole, tellsSize, tellsKeys, tellsName, refuses;
        KeyboardLights? lamps;
        lock (_gate)
        {
            if (!_isAsked && !_isContinuous) return (false, false);
            (format, encodings, encoding, quality) = (_format, _encodings, _encoding, _quality);
            (isWhole, tellsSize, tellsKeys, tellsName, refuses) = (_isWhole, _tellsSize, _tellsKeys, _tellsName, _refusesResize);
            lamps = encodings.Contains(RfbSpec.LedState) && (_options.Keyboard?.Lights ?? KeyboardLights.None) is var lit && lit != _lamps ? lit : null;
            if (!hasChanged && !isWhole && !tellsSize && !tellsKeys && !tellsName && !refuses && lamps is null && _sent is not null) return (false, false);
        }
        var picture = Shown(encodings, out var resized);
        var parts = isWhole || resized || _sent is null ? [new ScreenPart(0, 0, picture.Width, picture.Height)] : ScreenDifference.Between(_sent, picture);
        if (parts.Count == 0 && !tellsSize && !tellsKeys && !tellsName && !refuses && lamps is null)
        {
            _spare = picture;
            return (true, false);
        }
        lock (_gate)
        {
            _isAsked = _isWhole = false;
            _tellsSize &= !tellsSize;
            _tellsKeys &= !tellsKeys;
            _tellsName &= !tellsName;
            _refusesResize &= !refuses;
            _lamps = lamps ?? _lamps;
            _isWhole |= _format != format;
            _size = (picture.Width, picture.Height);
        }
        var scrolled = !isWhole && !resized && _sent is not null && encodings.Contains(RfbSpec.CopyRect) ? ScrollDetector.Find(_sent, picture, parts) : null;
        if (scrolled is var (part, fromY))
        {
            ScrollDetector.Apply(_sent!, part, fromY);
            parts = ScreenDifference.Between(_sent!, picture);
        }
        Compose(picture, parts, scrolled, new Form(encoding, format, quality), new Beside(resized || tellsSize, tellsKeys, tellsName, refuses, lamps, encodings.Contains(RfbSpec.ExtendedDesktopSize), resized));
        (_spare, _sent) = (_sent, picture);
        await _link.SendAsync(_output.WrittenMemory, cancellationToken).ConfigureAwait(false);
        Interlocked.Increment(ref _updates);
        return (true, true);
    }

    // What the viewer is to see: of a viewer that cannot have another size, as much as there is room for.
    private ScreenPicture Shown(HashSet<int> encodings, out bool resized)
    {
        var picture = _screen.Look(_spare);
        _spare = null;
        var (width, height) = Size;
        resized = (picture.Width, picture.Height) != (width, height);
        if (!resized || encodings.Contains(RfbSpec.DesktopSize) || encodings.Contains(RfbSpec.ExtendedDesktopSize)) return picture;
        resized = false;
        var cut = new ScreenPicture(width, height, new uint[width * height]);
        for (var y = 0; y < Math.Min(height, picture.Height); y++)
            picture.Pixels.AsSpan(y * picture.Width, Math.Min(width, picture.Width)).CopyTo(cut.Pixels.AsSpan(y * width));
        return cut;
    }

    private readonly record struct Form(int Encoding, PixelFormat Format, int? Quality);

    private readonly record struct Beside(bool Size, bool Keys, bool Name, bool Refuses, KeyboardLights? Lamps, bool IsExtended, bool Resized);

    private void Compose(ScreenPicture picture, List<ScreenPart> parts, (ScreenPart Part, int FromY)? scrolled, Form form, Beside beside)
    {
        _output.ResetWrittenCount();
        ScreenPart[] pieces = [.. parts.SelectMany(part => PictureEncoder.Cut(part, form.Encoding))];
        var size = beside.Size && (beside.IsExtended || beside.Resized);
        var count = pieces.Length + (scrolled is null ? 0 : 1) + (size ? 1 : 0) + (beside.Keys ? 1 : 0) + (beside.Name ? 1 : 0) + (beside.Refuses ? 1 : 0) + (beside.Lamps is not null ? 1 : 0);
        var head = _output.GetSpan(4);
        (head[0], head[1]) = (RfbSpec.Update, 0);
        BinaryPrimitives.WriteUInt16BigEndian(head[2..], (ushort)count);
        _output.Advance(4);
        if (size && beside.IsExtended) WriteSize(picture, 0, 0);
        else if (size) PictureEncoder.WriteHead(_output, 0, 0, picture.Width, picture.Height, RfbSpec.DesktopSize);
        if (beside.Refuses) WriteSize(picture, RfbSpec.ResizeByClient, RfbSpec.ResizeProhibited);
        if (beside.Keys) PictureEncoder.WriteHead(_output, 0, 0, 0, 0, RfbSpec.ExtendedKeys);
        if (beside.Name) WriteName();
        if (beside.Lamps is { } lamps)
        {
            PictureEncoder.WriteHead(_output, 0, 0, 0, 0, RfbSpec.LedState);
            _output.Write([(byte)lamps]);
        }
        // It is of what the viewer has by now.
        if (scrolled is var (moved, fromY)) PictureEncoder.WriteCopy(_output, moved, fromY);
        foreach (var piece in pieces) _encoder.Write(_output, picture, piece, form.Encoding, form.Format, form.Quality);
    }

    // "DesktopName Pseudo-encoding".
    private void WriteName()
    {
        PictureEncoder.WriteHead(_output, 0, 0, 0, 0, RfbSpec.DesktopName);
        var name = Encoding.UTF8.GetBytes(_options.Name);
        BinaryPrimitives.WriteInt32BigEndian(_output.GetSpan(sizeof(int)), name.Length);
        _output.Advance(sizeof(int));
        _output.Write(name);
    }

    // ExtendedDesktopSize: one screen, which is all of the picture.
    private void WriteSize(ScreenPicture picture, int reason, int status)
    {
        PictureEncoder.WriteHead(_output, reason, status, picture.Width, picture.Height, RfbSpec.ExtendedDesktopSize);
        Span<byte> screens = stackalloc byte[4 + RfbSpec.ScreenLength];
        screens.Clear();
        screens[0] = 1;
        BinaryPrimitives.WriteUInt16BigEndian(screens[12..], (ushort)picture.Width);
        BinaryPrimitives.WriteUInt16BigEndian(screens[14..], (ushort)picture.Height);
        _output.Write(screens);
    }
}
