// The client's side of the handshake ("Newstyle negotiation"): TLS where it is wanted and never less, then what makes reads and holes cheap, then the export. A server
// that knows no options is asked by the one that all know.
using System.Net.Security;
using System.Numerics;
using System.Security.Authentication;
using System.Text;
using Lamina.Host.Net;

namespace Lamina.Backends.Nbd.Client;

/// <summary>Agrees with a server on an export.</summary>
internal sealed class NbdHandshake
{
    private readonly NbdUri _uri;
    private Stream _stream;
    private NbdReader _reader;
    private NbdWriter _writer;

    private NbdHandshake(NbdUri uri, Stream stream) => (_uri, _stream, _reader, _writer) = (uri, stream, new NbdReader(stream), new NbdWriter(stream));

    /// <summary>Goes through it.</summary>
    /// <param name="uri">What is wanted.</param>
    /// <param name="stream">Leads to the server.</param>
    /// <param name="identity">Who the server must be, where TLS is wanted.</param>
    /// <returns>The export, and the streams that lead to it.</returns>
    /// <exception cref="NbdException">The server refuses, or does not keep to the protocol.</exception>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal static (NbdExport Export, Stream Stream, NbdReader Reader, NbdWriter Writer) Run(NbdUri uri, Stream stream, TlsIdentity? identity)
    {
        var handshake = new NbdHandshake(uri, stream);
        var export = handshake.Run(identity);
        return (export, handshake._stream, handshake._reader, handshake._writer);
    }

    private NbdExport Run(TlsIdentity? identity)
    {
        if (_reader.ReadU64() != NbdSpec.Magic) throw new NbdException($"what answers at {_uri} is no NBD server");
        var magic = _reader.ReadU64();
        if (magic == NbdSpec.OldMagic) throw new NbdException($"the server of {_uri} speaks the oldstyle protocol of before 2011; start it with an export's name");
        if (magic != NbdSpec.OptionMagic) throw new NbdException($"what answers at {_uri} is no NBD server");
        var offered = _reader.ReadU16();
        var isFixed = (offered & NbdSpec.FixedNewstyle) != 0;
        _writer.WriteU32((uint)(offered & (NbdSpec.FixedNewstyle | NbdSpec.NoZeroes)));
        if (_uri.IsSecure) StartTls(isFixed, identity ?? throw new NbdException($"nothing says who the server of {_uri} must be; name a folder with ca.pem (tls=FOLDER)"));
        var isPadded = (offered & NbdSpec.NoZeroes) == 0;
        if (!isFixed) return ByName(isPadded);
        var isStructured = Ask(NbdOption.StructuredReply, []) is null;
        var allocation = isStructured ? AskAllocation() : null;
        return Go(isStructured, allocation) ?? ByName(isPadded) with { IsStructured = isStructured, AllocationId = allocation };
    }

    private void StartTls(bool isFixed, TlsIdentity identity)
    {
        if (!isFixed || Ask(NbdOption.StartTls, []) is not null) throw new NbdException($"the server of {_uri} speaks no TLS; have it do so, or write nbd instead of nbds where the way there is safe");
        if (_reader.HasMore) throw new NbdException($"the server of {_uri} goes on in the clear where TLS was agreed on");
        var secure = new SslStream(_stream, leaveInnerStreamOpen: false);
        try
        {
            secure.AuthenticateAsClient(identity.ToCall(_uri.CertificateName));
        }
        catch (AuthenticationException refused)
        {
            throw new NbdException($"the server of {_uri} does not prove that it is {_uri.CertificateName}, or does not take this end for who it should be ({refused.Message.TrimEnd('.')})", refused);
        }
        (_stream, _reader, _writer) = (secure, new NbdReader(secure), new NbdWriter(secure));
    }

    // "NBD_OPT_SET_META_CONTEXT": the export's name, the number of queries, each with its length.
    private uint? AskAllocation()
    {
        var (export, query) = (Encoding.UTF8.GetBytes(_uri.Export), Encoding.ASCII.GetBytes(NbdSpec.Allocation));
        var data = new byte[4 + export.Length + 4 + 4 + query.Length];
        var writer = new NbdWriter(new MemoryStream(data));
        writer.WriteU32((uint)export.Length);
        writer.Write(export);
        writer.WriteU32(1);
        writer.WriteU32((uint)query.Length);
        writer.Write(query);
        writer.Flush();
        uint? id = null;
        var refused = Ask(NbdOption.SetMetaContext, data, (type, answer) =>
        {
            if (type == NbdReply.MetaContext && answer.Length > 4 && answer.AsSpan(4).SequenceEqual(query)) id = new NbdReader(new MemoryStream(answer)).ReadU32();
        });
        return refused is null ? id : null;
    }

    // "NBD_OPT_GO": null where the server does not know it.
    private NbdExport? Go(bool isStructured, uint? allocation)
    {
        var name = Encoding.UTF8.GetBytes(_uri.Export);
        var data = new byte[4 + name.Length + 4];
        var writer = new NbdWriter(new MemoryStream(data));
        writer.WriteU32((uint)name.Length);
        writer.Write(name);
        writer.WriteU16(1);
        writer.WriteU16((ushort)NbdInfo.BlockSize);
        writer.Flush();
        NbdExport? export = null;
        (uint Minimum, uint Preferred, uint Most)? blocks = null;
        var refused = Ask(NbdOption.Go, data, (type, answer) =>
        {
            if (type != NbdReply.Info || answer.Length < 2) return;
            var reader = new NbdReader(new MemoryStream(answer));
            switch ((NbdInfo)reader.ReadU16())
            {
                case NbdInfo.Export when answer.Length == 12:
                    export = new NbdExport { Size = reader.ReadU64(), Flags = (NbdFlags)reader.ReadU16(), IsStructured = isStructured, AllocationId = allocation };
                    break;
                case NbdInfo.BlockSize when answer.Length == 14:
                    blocks = (reader.ReadU32(), reader.ReadU32(), reader.ReadU32());
                    break;
                default:
                    break;
            }
        });
        if (refused is { } why)
        {
            if (why.Type == NbdReply.Unsupported) return null;
            // It is told that this end goes, and need not wonder.
            Send(NbdOption.Abort, []);
            throw Refused(why.Type, why.Message);
        }
        if (export is null) throw new NbdException($"the server of {_uri} does not say how large the export is");
        return blocks is { } sizes ? WithBlocks(export, sizes.Minimum, sizes.Preferred, sizes.Most) : export;
    }

    private NbdExport WithBlocks(NbdExport export, uint minimum, uint preferred, uint most)
    {
        if (!BitOperations.IsPow2(minimum) || minimum > NbdSpec.LargestMinimum || !BitOperations.IsPow2(preferred) || preferred < minimum || most < Math.Max(minimum, 512))
            throw new NbdException($"the server of {_uri} tells block sizes that cannot be: {minimum}, {preferred} and {most} bytes");
        return export with { MinimumBlock = (int)minimum, MostPayload = most };
    }

    // "NBD_OPT_EXPORT_NAME": the server hangs up where it has none of that name.
    private NbdExport ByName(bool isPadded)
    {
        Send(NbdOption.ExportName, Encoding.UTF8.GetBytes(_uri.Export));
        if (!_reader.WaitForMore()) throw Refused(NbdReply.Unknown, "");
        var export = new NbdExport { Size = _reader.ReadU64(), Flags = (NbdFlags)_reader.ReadU16() };
        if (isPadded) _reader.Skip(NbdSpec.Padding);
        return export;
    }

    private (NbdReply Type, string Message)? Ask(NbdOption option, ReadOnlySpan<byte> data, Action<NbdReply, byte[]>? told = null)
    {
        Send(option, data);
        for (var count = 0; count < NbdSpec.MostOptions; count++)
        {
            if (_reader.ReadU64() != NbdSpec.OptionReplyMagic || _reader.ReadU32() != (uint)option) throw new NbdException($"the server of {_uri} answers what was not asked");
            var (type, length) = ((NbdReply)_reader.ReadU32(), _reader.ReadU32());
            if (length > NbdSpec.MostOptionBytes) throw new NbdException($"the server of {_uri} has an answer of {length} bytes, and {NbdSpec.MostOptionBytes} are the most");
            var answer = _reader.ReadBytes((int)length);
            if (((uint)type & NbdSpec.ReplyError) != 0) return (type, NbdText.Printable(answer));
            if (type == NbdReply.Ack) return null;
            told?.Invoke(type, answer);
        }
        throw new NbdException($"the server of {_uri} has no end of answers");
    }

    private void Send(NbdOption option, ReadOnlySpan<byte> data)
    {
        _writer.WriteU64(NbdSpec.OptionMagic);
        _writer.WriteU32((uint)option);
        _writer.WriteU32((uint)data.Length);
        _writer.Write(data);
        _writer.Flush();
    }

    private NbdException Refused(NbdReply why, string message)
    {
        var said = message.Length == 0 ? "" : $" ({message})";
        return new NbdException(why switch
        {
            NbdReply.Unknown => $"the server has no export '{_uri.Export}' for {_uri}{said}",
            NbdReply.TlsRequired => $"the server of {_uri} wants TLS; write nbds instead of nbd, and name a folder with ca.pem (tls=FOLDER)",
            NbdReply.Policy => $"the server of {_uri} does not give the export to this end{said}",
            _ => $"the server of {_uri} refuses{said}",
        });
    }
}
