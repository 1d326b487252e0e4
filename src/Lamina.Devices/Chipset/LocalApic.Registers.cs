// The registers of a local APIC as a guest reaches them: the xAPIC page, the x2APIC MSRs, IA32_APIC_BASE.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using static Lamina.Devices.Chipset.LocalApicSpec;

namespace Lamina.Devices.Chipset;

public sealed partial class LocalApic
{
    /// <summary>What a register write leaves to be done once the lock is released.</summary>
    private struct Aftermath()
    {
        /// <summary>A vector whose end the I/O APIC must hear of, or -1.</summary>
        public int EndedVector = -1;

        /// <summary>A command to send, or null.</summary>
        public ulong? Command;

        /// <summary>How the command's destination is to be read.</summary>
        public bool InX2ApicMode;
    }

    /// <inheritdoc/>
    public bool TryReadMsr(uint index, out ulong value)
    {
        lock (_gate)
        {
            switch (index)
            {
                case ApicBaseMsr:
                    value = _state.Base;
                    return true;
                case TscDeadlineMsr:
                    value = ReadTscDeadline();
                    return true;
                case >= FirstX2ApicMsr and <= LastX2ApicMsr when InX2ApicMode:
                    return TryReadX2Apic((int)(index - FirstX2ApicMsr), out value);
                default:
                    value = 0;
                    return false;
            }
        }
    }

    /// <inheritdoc/>
    public bool TryWriteMsr(uint index, ulong value)
    {
        var aftermath = new Aftermath();
        lock (_gate)
        {
            switch (index)
            {
                case ApicBaseMsr:
                    return TryWriteBase(value);
                case TscDeadlineMsr:
                    WriteTscDeadline(value);
                    return true;
                case >= FirstX2ApicMsr and <= LastX2ApicMsr when InX2ApicMode:
                    if (!TryWriteX2Apic((int)(index - FirstX2ApicMsr), value, ref aftermath)) return false;
                    break;
                default:
                    return false;
            }
        }
        Finish(aftermath);
        return true;
    }

    /// <summary>IA32_APIC_BASE: the transitions of figure 11-27; all others and reserved bits are #GP.</summary>
    private bool TryWriteBase(ulong value)
    {
        const ulong modes = BaseEnable | BaseX2Apic;
        if ((value & _reservedBase) != 0) return false;
        var (before, after) = (_state.Base & modes, value & modes);
        if (after == BaseX2Apic) return false;
        if (before == modes && after == BaseEnable) return false;
        if (before == 0 && after == modes) return false;
        Volatile.Write(ref _state.Base, value);
        if (after == 0 && before != 0) ClearRegisters();
        Update();
        return true;
    }

    /// <summary>Reads an x2APIC register; false where there is none or it cannot be read (11.12.1.2).</summary>
    private bool TryReadX2Apic(int register, out ulong value)
    {
        value = 0;
        switch (register)
        {
            case Register.CommandLow:
                value = _state.Command;
                return true;
            case Register.EndOfInterrupt or Register.SelfIpi or Register.DestinationFormat or Register.CommandHigh
                or Register.ArbitrationPriority or Register.RemoteRead:
                return false;
            default:
                if (!TryReadRegister(register, out var word)) return false;
                value = word;
                return true;
        }
    }

    /// <summary>Writes an x2APIC register; false where there is none, it cannot be written, or a reserved bit is set (11.12.1.3).</summary>
    private bool TryWriteX2Apic(int register, ulong value, ref Aftermath aftermath)
    {
        if (register == Register.CommandLow)
        {
            if ((value & IcrReserved) != 0) return false;
            WriteCommand(value & ~(ulong)IcrDeliveryStatus, ref aftermath);
            return true;
        }
        if (value > uint.MaxValue) return false;
        var word = (uint)value;
        var allowed = register switch
        {
            Register.TaskPriority or Register.SelfIpi => 0xffu,
            Register.EndOfInterrupt or Register.ErrorStatus => 0u,
            Register.SpuriousVector => SvrWritable,
            >= Register.LvtFirst and < Register.LvtFirst + LvtCount => LvtWritable(register - Register.LvtFirst) | LvtReadOnly(register - Register.LvtFirst),
            Register.InitialCount => uint.MaxValue,
            Register.DivideConfiguration => 0xbu,
            _ => (uint?)null,
        };
        if (allowed is not { } bits || (word & ~bits) != 0) return false;
        if (register == Register.SelfIpi) Command(word | ShorthandSelf << IcrShorthandShift, ref aftermath);
        else WriteRegister(register, word, ref aftermath);
        return true;
    }

    /// <summary>Reads a register; false where there is none.</summary>
    private bool TryReadRegister(int register, out uint value)
    {
        switch (register)
        {
            case Register.Id:
                value = InX2ApicMode ? (uint)ApicId : (uint)ApicId << 24;
                break;
            case Register.Version:
                value = VersionValue;
                break;
            case Register.TaskPriority:
                value = _state.TaskPriority;
                break;
            case Register.ProcessorPriority:
                value = ProcessorPriorityNow;
                break;
            case Register.EndOfInterrupt or Register.ArbitrationPriority or Register.RemoteRead:
                value = 0;
                break;
            case Register.LogicalDestination:
                value = InX2ApicMode ? X2ApicLogicalId : _state.LogicalDestination;
                break;
            case Register.DestinationFormat:
                value = _state.DestinationFormat;
                break;
            case Register.SpuriousVector:
                value = _state.SpuriousVector;
                break;
            case >= Register.InService and < Register.InService + WordsPerSet:
                value = _state.InService.Words[register - Register.InService];
                break;
            case >= Register.TriggerMode and < Register.TriggerMode + WordsPerSet:
                value = _state.TriggerMode.Words[register - Register.TriggerMode];
                break;
            case >= Register.Request and < Register.Request + WordsPerSet:
                value = _state.Request.Words[register - Register.Request];
                break;
            case Register.ErrorStatus:
                value = _state.ErrorStatus;
                break;
            case Register.CommandLow:
                value = (uint)_state.Command;
                break;
            case Register.CommandHigh:
                value = (uint)(_state.Command >> 32);
                break;
            case >= Register.LvtFirst and < Register.LvtFirst + LvtCount:
                value = _state.Lvt[register - Register.LvtFirst];
                break;
            case Register.InitialCount:
                value = _state.InitialCount;
                break;
            case Register.CurrentCount:
                value = ReadCurrentCount();
                break;
            case Register.DivideConfiguration:
                value = _state.DivideConfiguration;
                break;
            default:
                value = 0;
                return false;
        }
        return true;
    }

    /// <summary>Writes a register; reserved bits and read-only registers take nothing. False where there is none.</summary>
    private bool WriteRegister(int register, uint value, ref Aftermath aftermath)
    {
        switch (register)
        {
            case Register.TaskPriority:
                _state.TaskPriority = (byte)value;
                break;
            case Register.EndOfInterrupt:
                aftermath.EndedVector = EndHighest();
                return true;
            case Register.LogicalDestination:
                _state.LogicalDestination = value & 0xff00_0000;
                break;
            case Register.DestinationFormat:
                _state.DestinationFormat = value | 0x0fff_ffff;
                break;
            case Register.SpuriousVector:
                WriteSpuriousVector(value);
                break;
            case Register.ErrorStatus:
                (_state.ErrorStatus, _state.PendingErrors) = (_state.PendingErrors, 0);
                break;
            case Register.CommandLow:
                WriteCommand((_state.Command & 0xffff_ffff_0000_0000) | (value & ~(IcrReserved | IcrDeliveryStatus)), ref aftermath);
                break;
            case Register.CommandHigh:
                _state.Command = (uint)_state.Command | (ulong)(value & 0xff00_0000) << 32;
                break;
            case >= Register.LvtFirst and < Register.LvtFirst + LvtCount:
                WriteLvt(register - Register.LvtFirst, value);
                break;
            case Register.InitialCount:
                WriteInitialCount(value);
                break;
            case Register.DivideConfiguration:
                WriteDivideConfiguration(value & 0xb);
                break;
            default:
                return TryReadRegister(register, out _);
        }
        Update();
        return true;
    }

    /// <summary>SVR: turning the software enable off masks the whole table (11.4.7.2).</summary>
    private void WriteSpuriousVector(uint value)
    {
        _state.SpuriousVector = value & SvrWritable;
        if (SoftwareEnabled) return;
        for (var i = 0; i < LvtCount; i++) WriteLvt(i, _state.Lvt[i]);
    }

    private void WriteLvt(int entry, uint value)
    {
        value &= LvtWritable(entry);
        if (!SoftwareEnabled) value |= LvtMasked;
        if (entry == LvtTimer) WriteTimerEntry(value);
        else if (entry == LvtLint0)
        {
            var remoteIrr = _state.Lvt[entry] & LvtRemoteIrr;
            _state.Lvt[entry] = value;
            if (LintIsLevel(0)) _state.Lvt[entry] |= remoteIrr;
            ServiceLint0();
        }
        else _state.Lvt[entry] = value;
    }

    private void WriteCommand(ulong command, ref Aftermath aftermath)
    {
        _state.Command = command;
        Command(command, ref aftermath);
    }

    /// <summary>Checks a command and leaves it to be sent.</summary>
    private void Command(ulong command, ref Aftermath aftermath)
    {
        var mode = (InterruptDeliveryMode)(command >> IcrModeShift & 7);
        switch (mode)
        {
            case InterruptDeliveryMode.Fixed or InterruptDeliveryMode.LowestPriority when (byte)command < LowestVector:
                RaiseError(SendIllegalVector);
                return;
            // The de-assertion of an INIT only synchronised arbitration IDs, which are no more (11.6.1).
            case InterruptDeliveryMode.Init when (command & (IcrLevel | IcrAssert)) == IcrLevel:
            case InterruptDeliveryMode.Smi or InterruptDeliveryMode.Reserved or InterruptDeliveryMode.External:
                return;
        }
        (aftermath.Command, aftermath.InX2ApicMode) = (command, InX2ApicMode);
    }

    /// <summary>Without the lock: tells the I/O APIC, sends to the other local APICs.</summary>
    private void Finish(in Aftermath aftermath)
    {
        if (aftermath.EndedVector >= 0) _bus.EndInterrupt((byte)aftermath.EndedVector);
        if (aftermath.Command is not { } command) return;
        var mode = (InterruptDeliveryMode)(command >> IcrModeShift & 7);
        var vector = (byte)command;
        var destination = aftermath.InX2ApicMode ? (uint)(command >> 32) : InterruptMessage.Widen((byte)(command >> 56));
        switch ((int)(command >> IcrShorthandShift & 3))
        {
            case ShorthandSelf:
                Accept(mode, vector, level: false);
                break;
            case ShorthandAll:
                _bus.Deliver(new InterruptMessage(InterruptMessage.Broadcast, false, mode, vector, false));
                break;
            case ShorthandOthers:
                _bus.Deliver(new InterruptMessage(InterruptMessage.Broadcast, false, mode, vector, false), except: this);
                break;
            default:
                _bus.Deliver(new InterruptMessage(destination, (command & IcrLogical) != 0, mode, vector, false));
                break;
        }
    }

    private bool AnswersPage => (_state.Base & (BaseEnable | BaseX2Apic)) == BaseEnable;

    /// <summary>The xAPIC page: 32-bit registers, each at the start of 16 bytes (11.4.1).</summary>
    private sealed class RegisterPage(LocalApic apic) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            // Bytes and words of a register can be read; nothing may reach across it.
            var at = (int)(offset & 0xf);
            if (at + data.Length > sizeof(uint)) return AccessResult.InvalidSize;
            var register = (int)(offset >> 4);
            uint value;
            if (IsOwn(register))
            {
                if (!apic.AnswersPage) return AccessResult.Unclaimed;
                apic.TryReadRegister(register, out value);
            }
            else
            {
                lock (apic._gate)
                {
                    if (!apic.AnswersPage) return AccessResult.Unclaimed;
                    if (!apic.TryReadRegister(register, out value)) apic.RaiseError(IllegalRegister);
                }
            }
            if (data.Length == sizeof(uint)) BinaryPrimitives.WriteUInt32LittleEndian(data, value);
            else
                for (var i = 0; i < data.Length; i++) data[i] = (byte)(value >> 8 * (at + i));
            return AccessResult.Ok;
        }

        // What nobody but this page's CPU changes, a word each: it reads what it wrote last, and needs no lock for that. Kernels read
        // the command's state with each message, and some the task priority with each change.
        private static bool IsOwn(int register) =>
            register is Register.Id or Register.Version or Register.TaskPriority or Register.LogicalDestination or Register.DestinationFormat
                or Register.SpuriousVector or Register.CommandLow or Register.CommandHigh;

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            if ((offset & 0xf) != 0 || data.Length != sizeof(uint)) return AccessResult.InvalidSize;
            var aftermath = new Aftermath();
            lock (apic._gate)
            {
                if (!apic.AnswersPage) return AccessResult.Unclaimed;
                if (!apic.WriteRegister((int)(offset >> 4), BinaryPrimitives.ReadUInt32LittleEndian(data), ref aftermath))
                    apic.RaiseError(IllegalRegister);
            }
            apic.Finish(aftermath);
            return AccessResult.Ok;
        }
    }
}
