// A local APIC's registers as they move to another one, in an engine or in another machine. The levels of the pins are the lines' affair.
using System.Buffers.Binary;
using Lamina.Core.Interrupts;
using static Lamina.Devices.Chipset.LocalApicSpec;

namespace Lamina.Devices.Chipset;

public sealed partial class LocalApic
{
    private const int RegisterStride = 16, IdShift = 24;

    /// <summary>Copies the registers out.</summary>
    public LocalApicImage Save()
    {
        var page = new byte[LocalApicImage.Length];
        void Put(int register, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(register * RegisterStride), value);
        lock (_gate)
        {
            FireIfDue(_clock.NowNanoseconds);
            for (var register = 0; register < LocalApicImage.Length / RegisterStride; register++)
                if (TryReadRegister(register, out var value)) Put(register, value);
            Put(Register.Id, (uint)ApicId << IdShift);
            return new LocalApicImage { Base = _state.Base, Registers = page, TscDeadline = _state.TscDeadline, PendingErrors = _state.PendingErrors, ExternalPending = _state.ExternalPending };
        }
    }

    /// <summary>Replaces the registers; the identity stays.</summary>
    public void Load(LocalApicImage image)
    {
        uint Take(int register) => BinaryPrimitives.ReadUInt32LittleEndian(image.Registers.AsSpan(register * RegisterStride));
        lock (_gate)
        {
            ClearRegisters();
            _state.Base = image.Base & ~_reservedBase;
            _state.TaskPriority = (byte)Take(Register.TaskPriority);
            _state.LogicalDestination = Take(Register.LogicalDestination);
            _state.DestinationFormat = Take(Register.DestinationFormat);
            _state.SpuriousVector = Take(Register.SpuriousVector) & SvrWritable;
            for (var word = 0; word < WordsPerSet; word++)
            {
                _state.InService.Words[word] = Take(Register.InService + word);
                _state.TriggerMode.Words[word] = Take(Register.TriggerMode + word);
                _state.Request.Words[word] = Take(Register.Request + word);
            }
            (_state.ErrorStatus, _state.PendingErrors, _state.ExternalPending) = ((byte)Take(Register.ErrorStatus), image.PendingErrors, image.ExternalPending);
            _state.Command = (ulong)Take(Register.CommandHigh) << 32 | Take(Register.CommandLow) & ~IcrDeliveryStatus;
            for (var entry = 0; entry < LvtCount; entry++)
                _state.Lvt[entry] = Take(Register.LvtFirst + entry) & (LvtWritable(entry) | LvtReadOnly(entry)) & ~LvtDeliveryStatus;
            LoadTimer(Take(Register.InitialCount), Take(Register.CurrentCount), Take(Register.DivideConfiguration), image.TscDeadline);
            Update();
        }
    }

    private void LoadTimer(uint initial, uint current, uint divide, ulong deadline)
    {
        var now = _clock.NowNanoseconds;
        (_state.InitialCount, _state.DivideConfiguration, _state.TscDeadline) = (initial, divide, TimerMode == TimerTscDeadline ? deadline : 0);
        _state.Counting = current != 0;
        _state.CountStart = now - (initial - Math.Min(current, initial)) * CountUnit;
        Rearm(now);
    }
}
