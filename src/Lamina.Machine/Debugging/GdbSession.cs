// One debugger's session: GDB's commands, one after another, carried out on the target. GDB manual, appendix E.2 to E.5.
// A guest's threads are its vCPUs, numbered from 1. Commands that are not known are answered with an empty packet.
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using Lamina.Core.Engine;

namespace Lamina.Debugging;

/// <summary>Answers one GDB.</summary>
internal sealed class GdbSession(GdbTarget target, NetworkStream stream, GdbArchitecture architecture)
{
    private const string Ok = "OK", Error = "E01", Unknown = "";
    private const int SigInt = 2, SigTrap = 5, MaximumTransfer = GdbPackets.MaximumLength / 2;

    private IReadOnlyList<GdbRegister> _registers = [];
    private string _description = "";
    private bool _noAcknowledge, _running, _over;
    private int _thread, _vcpus;

    /// <summary>Serves until the debugger or the machine goes away.</summary>
    internal async Task RunAsync(ChannelReader<GdbEvent> events)
    {
        await target.StopAsync().ConfigureAwait(false);
        // GDB asks for the description once, and what it says holds until it goes away.
        (var set, _vcpus) = await target.LookAsync(vcpus => (GdbRegisterSet.For(StateOf(vcpus[0]), architecture), vcpus.Count), (GdbRegisterSet.For(new VcpuState(), architecture), 1)).ConfigureAwait(false);
        (_registers, _description) = (set.Registers, set.Describe());
        while (!_over)
        {
            switch (await events.ReadAsync().ConfigureAwait(false))
            {
                case GdbEvent.Input { Kind: GdbInput.Interrupt }:
                    await target.StopAsync().ConfigureAwait(false);
                    if (_running) await ReportStopAsync(SigInt).ConfigureAwait(false);
                    break;
                case GdbEvent.Input { Kind: GdbInput.Damaged }:
                    if (!_noAcknowledge) await stream.WriteAsync("-"u8.ToArray()).ConfigureAwait(false);
                    break;
                case GdbEvent.Input input:
                    if (!_noAcknowledge) await stream.WriteAsync("+"u8.ToArray()).ConfigureAwait(false);
                    if (await AnswerAsync(input.Data).ConfigureAwait(false) is { } answer) await SendAsync(answer).ConfigureAwait(false);
                    break;
                case GdbEvent.Stopped stopped when _running:
                    await target.StopAsync().ConfigureAwait(false);
                    _thread = stopped.Vcpu;
                    var hit = await target.FindHitAsync(stopped.Vcpu).ConfigureAwait(false);
                    await ReportStopAsync(SigTrap, hit is null ? "" : $"{hit.Reason}:{hit.Address:x};").ConfigureAwait(false);
                    break;
                case GdbEvent.Ended:
                    if (_running) await SendAsync("W00").ConfigureAwait(false);
                    return;
                case GdbEvent.Closed:
                    return;
            }
        }
    }

    // Null where nothing is to be said now: the guest runs, and the answer is its next stop.
    private async Task<string?> AnswerAsync(byte[] data)
    {
        var text = Encoding.Latin1.GetString(data);
        if (text.Length == 0) return Unknown;
        var rest = text[1..];
        switch (text[0])
        {
            case '?': return StopReply(SigTrap);
            case 'g': return await LookAsync(ReadAll).ConfigureAwait(false);
            case 'G': return await LookAsync(vcpu => WriteAll(vcpu, rest)).ConfigureAwait(false);
            case 'p': return await LookAsync(vcpu => ReadOne(vcpu, rest)).ConfigureAwait(false);
            case 'P': return await LookAsync(vcpu => WriteOne(vcpu, rest)).ConfigureAwait(false);
            case 'm': return await LookAsync(vcpu => ReadMemory(vcpu, rest)).ConfigureAwait(false);
            case 'M': return await LookAsync(vcpu => WriteMemory(vcpu, rest, null)).ConfigureAwait(false);
            case 'X': return await LookAsync(vcpu => WriteMemory(vcpu, rest, data)).ConfigureAwait(false);
            case 'Z' or 'z': return Breakpoint(text[0] == 'Z', rest);
            case 'H': return SelectThread(rest);
            case 'T': return TryThread(rest, out var asked) && asked >= 0 ? Ok : Error;
            case 'c' or 's': return await ResumeAsync(text[0] == 's' ? _thread : -1, null, rest).ConfigureAwait(false);
            case 'C' or 'S': return await ResumeAsync(text[0] == 'S' ? _thread : -1, null, rest.Contains(';', StringComparison.Ordinal) ? rest[(rest.IndexOf(';', StringComparison.Ordinal) + 1)..] : "").ConfigureAwait(false);
            case 'D':
                _over = true;
                return Ok;
            case 'k':
                _over = true;
                await target.KillAsync().ConfigureAwait(false);
                return null;
            case 'v': return await AnswerLongAsync(text).ConfigureAwait(false);
            case 'q' or 'Q': return await AnswerQueryAsync(text).ConfigureAwait(false);
            default: return Unknown;
        }
    }

    private async Task<string?> AnswerLongAsync(string text)
    {
        if (text == "vCont?") return "vCont;c;C;s;S";
        if (text.StartsWith("vKill", StringComparison.Ordinal))
        {
            await SendAsync(Ok).ConfigureAwait(false);
            _over = true;
            await target.KillAsync().ConfigureAwait(false);
            return null;
        }
        if (!text.StartsWith("vCont;", StringComparison.Ordinal)) return Unknown;

        // E.2, "vCont": for each thread the first action that names it, or names none, counts.
        var step = -1;
        var run = new HashSet<int>();
        var decided = new HashSet<int>();
        foreach (var action in text["vCont;".Length..].Split(';'))
        {
            var colon = action.IndexOf(':', StringComparison.Ordinal);
            var thread = -1;
            if (action.Length == 0 || colon >= 0 && !TryThread(action[(colon + 1)..], out thread)) return Error;
            foreach (var vcpu in thread < 0 ? Enumerable.Range(0, _vcpus) : [thread])
            {
                if (!decided.Add(vcpu)) continue;
                if (action[0] is 's' or 'S' && step < 0) step = vcpu;
                else run.Add(vcpu);
            }
        }
        return await ResumeAsync(step, run, "").ConfigureAwait(false);
    }

    private async Task<string?> AnswerQueryAsync(string text)
    {
        var name = text.Split(':', ',', ';')[0];
        switch (name)
        {
            case "qSupported": return $"PacketSize={GdbPackets.MaximumLength:x};qXfer:features:read+;QStartNoAckMode+;vContSupported+;swbreak-;hwbreak-";
            case "QStartNoAckMode":
                await SendAsync(Ok).ConfigureAwait(false);
                _noAcknowledge = true;
                return null;
            case "qXfer": return Transfer(text);
            case "qAttached": return "1";
            case "qC": return $"QC{_thread + 1:x}";
            case "qfThreadInfo": return "m" + string.Join(',', Enumerable.Range(1, _vcpus).Select(i => i.ToString("x", CultureInfo.InvariantCulture)));
            case "qsThreadInfo": return "l";
            case "qThreadExtraInfo": return TryThread(text[(text.IndexOf(',', StringComparison.Ordinal) + 1)..], out var thread) && thread >= 0 ? await ThreadTextAsync(thread).ConfigureAwait(false) : Error;
            case "qRcmd": return await MonitorAsync(text).ConfigureAwait(false);
            default: return Unknown;
        }
    }

    // "monitor" commands of our own.
    private async Task<string> MonitorAsync(string text)
    {
        if (!TryHex(text[(text.IndexOf(',', StringComparison.Ordinal) + 1)..], out var bytes)) return Error;
        switch (Encoding.UTF8.GetString(bytes).Trim())
        {
            case "help": return ToHex("reset    start the guest again from its boot files\nquit     end the machine\n");
            case "reset":
                await target.ResetAsync().ConfigureAwait(false);
                return Ok;
            case "quit":
                _over = true;
                await target.KillAsync().ConfigureAwait(false);
                return Ok;
            default: return ToHex("no such command; try \"monitor help\"\n");
        }
    }

    private async Task<string> ThreadTextAsync(int thread) => ToHex(await target.LookAsync(vcpus => $"vCPU {thread} ({StateOf(vcpus[thread]).Activity})", "ended").ConfigureAwait(false));

    private async Task<string?> ResumeAsync(int step, HashSet<int>? run, string address)
    {
        if (address.Length != 0)
        {
            if (!TryNumber(address, out var rip)) return Error;
            await LookAsync(vcpu => Change(vcpu, state => state.Rip = rip)).ConfigureAwait(false);
        }
        _running = true;
        await target.ResumeAsync(step, run).ConfigureAwait(false);
        return null;
    }

    private Task<string> LookAsync(Func<IVcpu, string> look) => target.LookAsync(vcpus => look(vcpus[_thread]), Error);

    private Task ReportStopAsync(int signal, string reason = "")
    {
        _running = false;
        return SendAsync(StopReply(signal, reason));
    }

    private string StopReply(int signal, string reason = "") => $"T{signal:x2}{reason}thread:{_thread + 1:x};";

    private async Task SendAsync(string data) => await stream.WriteAsync(GdbPackets.Frame(data)).ConfigureAwait(false);

    private string ReadAll(IVcpu vcpu)
    {
        var state = StateOf(vcpu);
        var text = new StringBuilder();
        foreach (var register in _registers) text.Append(Read(register, state));
        return text.ToString();
    }

    private string WriteAll(IVcpu vcpu, string text)
    {
        if (!TryHex(text, out var bytes)) return Error;
        return Change(vcpu, state =>
        {
            var at = 0;
            foreach (var register in _registers)
            {
                if (at + register.Length > bytes.Length) return;
                register.Set(state, bytes.AsSpan(at, register.Length));
                at += register.Length;
            }
        });
    }

    private string ReadOne(IVcpu vcpu, string text) =>
        TryNumber(text, out var index) && index < (ulong)_registers.Count ? Read(_registers[(int)index], StateOf(vcpu)) : Error;

    private string WriteOne(IVcpu vcpu, string text)
    {
        var parts = text.Split('=');
        if (parts.Length != 2 || !TryNumber(parts[0], out var index) || index >= (ulong)_registers.Count || !TryHex(parts[1], out var bytes)) return Error;
        var register = _registers[(int)index];
        return bytes.Length == register.Length ? Change(vcpu, state => register.Set(state, bytes)) : Error;
    }

    private static string ReadMemory(IVcpu vcpu, string text)
    {
        var parts = text.Split(',');
        if (parts.Length != 2 || !TryNumber(parts[0], out var address) || !TryNumber(parts[1], out var length) || length > MaximumTransfer) return Error;
        var bytes = new byte[length];
        // What can be read up to the first page that is not there is an answer (E.2, "m").
        while (bytes.Length != 0 && !vcpu.TryReadLinear(address, bytes))
        {
            var toPageEnd = 4096 - (int)(address % 4096);
            var pages = (bytes.Length - toPageEnd + 4095) / 4096;
            bytes = new byte[pages <= 0 ? 0 : toPageEnd + ((pages - 1) * 4096)];
        }
        return bytes.Length == 0 && length != 0 ? Error : Convert.ToHexStringLower(bytes);
    }

    // "M" carries hexadecimal digits, "X" the bytes themselves (null or the packet, of which the text is a view).
    private static string WriteMemory(IVcpu vcpu, string text, byte[]? packet)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0) return Error;
        var parts = text[..colon].Split(',');
        if (parts.Length != 2 || !TryNumber(parts[0], out var address) || !TryNumber(parts[1], out var length)) return Error;
        byte[]? bytes = packet?[(colon + 2)..];
        if (bytes is null && !TryHex(text[(colon + 1)..], out bytes)) return Error;
        return (ulong)bytes.Length == length && (length == 0 || vcpu.TryWriteLinear(address, bytes)) ? Ok : Error;
    }

    // Types 0 and 1, software and hardware breakpoints, are the same here: the engine keeps addresses, memory stays as it is.
    private string Breakpoint(bool set, string text)
    {
        var parts = text.Split(';')[0].Split(',');
        if (parts.Length != 3 || parts[0] is not ("0" or "1" or "2" or "3" or "4")) return Unknown;
        if (!TryNumber(parts[1], out var address)) return Error;
        if (parts[0][0] >= '2')
        {
            if (!TryNumber(parts[2], out var length)) return Error;
            var watch = new GdbWatch(parts[0][0] - '0', address, length);
            if (set) return target.TryWatch(watch) ? Ok : Error;
            target.Unwatch(watch);
            return Ok;
        }
        if (set) target.SetBreakpoint(address);
        else target.RemoveBreakpoint(address);
        return Ok;
    }

    private string SelectThread(string text)
    {
        if (text.Length < 2 || !TryThread(text[1..], out var thread)) return Error;
        if (thread >= 0) _thread = thread;
        return Ok;
    }

    // "-1" is all threads and "0" any of them: both come back as -1.
    private bool TryThread(string text, out int vcpu)
    {
        vcpu = -1;
        if (text is "-1" or "0") return true;
        if (!TryNumber(text, out var thread) || thread == 0 || thread > (ulong)_vcpus) return false;
        vcpu = (int)thread - 1;
        return true;
    }

    // qXfer:features:read:target.xml:OFFSET,LENGTH (E.4).
    private string Transfer(string text)
    {
        var parts = text.Split(':');
        if (parts.Length != 5 || parts[1] != "features" || parts[2] != "read") return Unknown;
        var range = parts[4].Split(',');
        if (parts[3] != "target.xml" || range.Length != 2 || !TryNumber(range[0], out var offset) || !TryNumber(range[1], out var length)) return "E00";
        var start = (int)Math.Min(offset, (ulong)_description.Length);
        var count = (int)Math.Min(Math.Min(length, MaximumTransfer), (ulong)(_description.Length - start));
        return (start + count == _description.Length ? "l" : "m") + _description.Substring(start, count);
    }

    private static string Read(GdbRegister register, VcpuState state)
    {
        var bytes = new byte[register.Length];
        register.Get(state, bytes);
        return Convert.ToHexStringLower(bytes);
    }

    private static string Change(IVcpu vcpu, Action<VcpuState> change)
    {
        var state = StateOf(vcpu);
        change(state);
        // What the CPU cannot hold it has kept as it was.
        return vcpu.SetState(state).Count == 0 ? Ok : "E00";
    }

    private static VcpuState StateOf(IVcpu vcpu)
    {
        var state = new VcpuState();
        vcpu.GetState(state);
        return state;
    }

    private static bool TryNumber(string text, out ulong value) => ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);

    private static bool TryHex(string text, out byte[] bytes)
    {
        bytes = [];
        if (text.Length % 2 != 0) return false;
        foreach (var digit in text)
            if (!char.IsAsciiHexDigit(digit)) return false;
        bytes = Convert.FromHexString(text);
        return true;
    }

    private static string ToHex(string text) => Convert.ToHexStringLower(Encoding.UTF8.GetBytes(text));
}
