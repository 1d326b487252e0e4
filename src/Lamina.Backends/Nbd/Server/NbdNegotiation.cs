// The server's side of the handshake ("Newstyle negotiation"). Where this server has a certificate nothing is told and nothing given before TLS is spoken
// ("FORCEDTLS mode"); what a client agreed on before that is forgotten.
using System.Net.Security;
using System.Text;

namespace Lamina.Backends.Nbd.Server;

/// <summary>Agrees with one client on what it gets.</summary>
/// <param name="options">What is served, and how.</param>
/// <param name="disk">The disk.</param>
/// <param name="stream">Leads to the client.</param>
internal sealed class NbdNegotiation(NbdServerOptions options, ByteDisk disk, Stream stream)
{
    /// <summary>By which number this server tells what is allocated.</summary>
    internal const uint AllocationId = 1;

    private bool _isSecure;
    private string? _allocationOf;

    /// <summary>What leads to the client, by TLS where that was agreed on.</summary>
    internal Stream Stream { get; private set; } = stream;

    /// <summary>What comes from the client.</summary>
    internal NbdReader Reader { get; private set; } = new(stream);

    /// <summary>What goes to the client.</summary>
    internal NbdWriter Writer { get; private set; } = new(stream);

    /// <summary>Whether replies to reads go in chunks.</summary>
    internal bool IsStructured { get; private set; }

    /// <summary>Whether the client may ask what is allocated.</summary>
    internal bool TellsAllocation { get; private set; }

    private NbdFlags Flags => NbdFlags.HasFlags | NbdFlags.Flush | NbdFlags.Fua | NbdFlags.MultiConnection
        | (disk.IsReadOnly ? NbdFlags.ReadOnly : NbdFlags.Trim | NbdFlags.WriteZeroes) | (IsStructured ? NbdFlags.DontFragment : 0);

    /// <summary>Goes through it.</summary>
    /// <returns>Whether the client wants the disk; else it has what it wanted.</returns>
    /// <exception cref="NbdException">The client does not keep to the protocol, or asks for what there is not.</exception>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal bool Run()
    {
        Writer.WriteU64(NbdSpec.Magic);
        Writer.WriteU64(NbdSpec.OptionMagic);
        Writer.WriteU16(NbdSpec.FixedNewstyle | NbdSpec.NoZeroes);
        Writer.Flush();
        var client = Reader.ReadU32();
        if ((client & ~(uint)(NbdSpec.FixedNewstyle | NbdSpec.NoZeroes)) != 0) throw new NbdException("a client wants what there is not");
        for (var count = 0; count < NbdSpec.MostOptions; count++)
        {
            if (!Reader.WaitForMore()) return false;
            if (Reader.ReadU64() != NbdSpec.OptionMagic) throw new NbdException("a client sends what is no option");
            var (option, length) = ((NbdOption)Reader.ReadU32(), Reader.ReadU32());
            if (length > NbdSpec.MostOptionBytes) throw new NbdException($"a client has an option of {length} bytes, and {NbdSpec.MostOptionBytes} are the most");
            var data = Reader.ReadBytes((int)length);
            if (option == NbdOption.ExportName)
            {
                ByName(data, isPadded: (client & NbdSpec.NoZeroes) == 0);
                return true;
            }
            if (option == NbdOption.Abort)
            {
                Answer(option, NbdReply.Ack, []);
                return false;
            }
            if (Answer(option, data)) return true;
        }
        throw new NbdException("a client has no end of options");
    }

    // Whether transmission begins.
    private bool Answer(NbdOption option, byte[] data)
    {
        if (options.Identity is not null && !_isSecure && option != NbdOption.StartTls)
        {
            Answer(option, NbdReply.TlsRequired, "this server speaks TLS"u8);
            return false;
        }
        switch (option)
        {
            case NbdOption.StartTls:
                StartTls(data);
                return false;
            case NbdOption.List when data.Length == 0:
                Reply(option, NbdReply.Server, writer => WriteText(writer, Encoding.UTF8.GetBytes(options.Export)));
                Answer(option, NbdReply.Ack, []);
                return false;
            case NbdOption.StructuredReply when data.Length == 0:
                IsStructured = true;
                Answer(option, NbdReply.Ack, []);
                return false;
            case NbdOption.Info or NbdOption.Go:
                return Tell(option, data) && option == NbdOption.Go;
            case NbdOption.ListMetaContext or NbdOption.SetMetaContext:
                Contexts(option, data);
                return false;
            case NbdOption.List or NbdOption.StructuredReply:
                Answer(option, NbdReply.Invalid, "this option has no data"u8);
                return false;
            default:
                Answer(option, NbdReply.Unsupported, []);
                return false;
        }
    }

    private void StartTls(byte[] data)
    {
        if (options.Identity is not { } identity)
        {
            Answer(NbdOption.StartTls, NbdReply.Policy, "this server speaks no TLS"u8);
            return;
        }
        if (data.Length != 0 || _isSecure)
        {
            Answer(NbdOption.StartTls, NbdReply.Invalid, []);
            return;
        }
        Answer(NbdOption.StartTls, NbdReply.Ack, []);
        // What came in the clear could be anybody's.
        if (Reader.HasMore) throw new NbdException("a client goes on in the clear where TLS was agreed on");
        var secure = new SslStream(Stream, leaveInnerStreamOpen: false);
        secure.AuthenticateAsServer(identity.ToAnswer());
        (Stream, Reader, Writer) = (secure, new NbdReader(secure), new NbdWriter(secure));
        (_isSecure, IsStructured, _allocationOf) = (true, false, null);
    }

    // "NBD_OPT_INFO" and "NBD_OPT_GO".
    private bool Tell(NbdOption option, byte[] data)
    {
        var reader = new OptionData(data);
        if (!reader.TryText(out var name) || !reader.TryU16(out var count) || reader.Left != 2 * count)
        {
            Answer(option, NbdReply.Invalid, []);
            return false;
        }
        if (!IsServed(name))
        {
            Answer(option, NbdReply.Unknown, "there is no such export"u8);
            return false;
        }
        var wanted = new HashSet<NbdInfo>();
        while (reader.TryU16(out var info)) wanted.Add((NbdInfo)info);
        Reply(option, NbdReply.Info, writer =>
        {
            writer.WriteU16((ushort)NbdInfo.Export);
            writer.WriteU64(disk.Length);
            writer.WriteU16((ushort)Flags);
        });
        if (wanted.Contains(NbdInfo.Name)) TellText(NbdInfo.Name, options.Export);
        if (wanted.Contains(NbdInfo.Description) && options.Description.Length > 0) TellText(NbdInfo.Description, options.Description);
        if (wanted.Contains(NbdInfo.BlockSize))
        {
            Reply(option, NbdReply.Info, writer =>
            {
                writer.WriteU16((ushort)NbdInfo.BlockSize);
                writer.WriteU32(1);
                writer.WriteU32((uint)disk.Preferred);
                writer.WriteU32(NbdSpec.MostPayload);
            });
        }
        if (option == NbdOption.Go) TellsAllocation = IsStructured && _allocationOf == name;
        Answer(option, NbdReply.Ack, []);
        return true;

        void TellText(NbdInfo info, string text) => Reply(option, NbdReply.Info, writer =>
        {
            writer.WriteU16((ushort)info);
            writer.Write(Encoding.UTF8.GetBytes(text));
        });
    }

    // "NBD_OPT_LIST_META_CONTEXT" and "NBD_OPT_SET_META_CONTEXT".
    private void Contexts(NbdOption option, byte[] data)
    {
        var isSet = option == NbdOption.SetMetaContext;
        if (isSet) _allocationOf = null;
        var reader = new OptionData(data);
        var isMeant = false;
        if (!reader.TryText(out var name) || !reader.TryU32(out var count) || (isSet && !IsStructured))
        {
            Answer(option, NbdReply.Invalid, []);
            return;
        }
        for (var i = 0u; i < count; i++)
        {
            if (!reader.TryText(out var query))
            {
                Answer(option, NbdReply.Invalid, []);
                return;
            }
            // "base:" alone asks what there is, and chooses nothing.
            isMeant |= query == NbdSpec.Allocation || (!isSet && query == "base:");
        }
        if (reader.Left != 0)
        {
            Answer(option, NbdReply.Invalid, []);
            return;
        }
        if (!IsServed(name))
        {
            Answer(option, NbdReply.Unknown, "there is no such export"u8);
            return;
        }
        if (isMeant || (!isSet && count == 0))
        {
            if (isSet) _allocationOf = name;
            Reply(option, NbdReply.MetaContext, writer =>
            {
                writer.WriteU32(isSet ? AllocationId : 0);
                writer.Write(Encoding.ASCII.GetBytes(NbdSpec.Allocation));
            });
        }
        Answer(option, NbdReply.Ack, []);
    }

    // "NBD_OPT_EXPORT_NAME": what there is not ends the connection, as there is no answer for it.
    private void ByName(byte[] data, bool isPadded)
    {
        if (options.Identity is not null && !_isSecure) throw new NbdException("a client speaks no TLS");
        var name = Encoding.UTF8.GetString(data);
        if (!IsServed(name)) throw new NbdException($"a client asks for an export '{NbdText.Printable(data)}', and there is none");
        TellsAllocation = IsStructured && _allocationOf == name;
        Writer.WriteU64(disk.Length);
        Writer.WriteU16((ushort)Flags);
        if (isPadded) Writer.Write(stackalloc byte[NbdSpec.Padding]);
        Writer.Flush();
    }

    private bool IsServed(string name) => name.Length == 0 || name == options.Export;

    private void Answer(NbdOption option, NbdReply type, ReadOnlySpan<byte> data)
    {
        Writer.WriteU64(NbdSpec.OptionReplyMagic);
        Writer.WriteU32((uint)option);
        Writer.WriteU32((uint)type);
        Writer.WriteU32((uint)data.Length);
        Writer.Write(data);
        Writer.Flush();
    }

    private void Reply(NbdOption option, NbdReply type, Action<NbdWriter> write)
    {
        using var data = new MemoryStream();
        var writer = new NbdWriter(data);
        write(writer);
        writer.Flush();
        Answer(option, type, data.ToArray());
    }

    private static void WriteText(NbdWriter writer, byte[] text)
    {
        writer.WriteU32((uint)text.Length);
        writer.Write(text);
    }

    // The fields of an option, none of which reaches behind its end.
    private sealed class OptionData(byte[] data)
    {
        private int _at;

        internal int Left => data.Length - _at;

        internal bool TryU16(out int value)
        {
            value = 0;
            if (Left < 2) return false;
            value = System.Buffers.Binary.BinaryPrimitives.ReadUInt16BigEndian(data.AsSpan(_at));
            _at += 2;
            return true;
        }

        internal bool TryU32(out uint value)
        {
            value = 0;
            if (Left < 4) return false;
            value = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(data.AsSpan(_at));
            _at += 4;
            return true;
        }

        internal bool TryText(out string text)
        {
            text = "";
            if (!TryU32(out var length) || length > Left || length > NbdSpec.LongestString) return false;
            text = Encoding.UTF8.GetString(data, _at, (int)length);
            _at += (int)length;
            return true;
        }
    }
}
